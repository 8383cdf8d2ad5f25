// ctxdiff holds gpudev's source hash against BuildKit's own packages: random Dockerfile × context × ignore file × change.
// Both must fail or both succeed; and after a change the hash must change exactly when BuildKit's key does, but where
// BuildKit's key is narrower than what it copies (then the hash may follow what is copied), and where the hash says that
// it widened.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const builderPlatform = "linux/amd64"

var work string

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// ---- The hash under test ----

type hasher struct {
	in  io.Writer
	out *bufio.Reader
}

type answer struct {
	Hash, Error, Widened string
}

func (h *hasher) ask(c *testCase, dir string) answer {
	req := map[string]any{"dir": dir, "dockerfile": filepath.Join(dir, c.File), "target": c.Target, "platform": c.Platform, "builder": builderPlatform, "args": c.Args}
	dt, err := json.Marshal(req)
	must(err)
	_, err = h.in.Write(append(dt, '\n'))
	must(err)
	line, err := h.out.ReadBytes('\n')
	must(err)
	var a answer
	must(json.Unmarshal(line, &a))
	return a
}

// ---- The case on disk ----

func materialize(c *testCase, dir string) {
	must(os.MkdirAll(dir, 0o755))
	put := func(p, text string) {
		full := filepath.Join(dir, p)
		os.MkdirAll(filepath.Dir(full), 0o755)
		os.RemoveAll(full)
		must(os.WriteFile(full, []byte(text), 0o644))
	}
	for p, e := range c.Tree {
		full := filepath.Join(dir, p)
		must(os.MkdirAll(filepath.Dir(full), 0o755))
		switch e.Kind {
		case "file":
			must(os.WriteFile(full, []byte(e.Content), 0o644))
			must(syscall.Chmod(full, e.Mode))
		case "dir":
			must(os.MkdirAll(full, 0o755))
		case "link":
			must(os.Symlink(e.Link, full))
		case "fifo":
			must(syscall.Mkfifo(full, 0o644))
		}
	}
	for p, e := range c.Tree {
		if e.Kind == "dir" {
			must(syscall.Chmod(filepath.Join(dir, p), e.Mode))
		}
	}
	put(c.File, c.Dockerfile)
	if c.Ignore != nil {
		put(".dockerignore", *c.Ignore)
	}
	if c.Specific != nil {
		put(c.File+".dockerignore", *c.Specific)
	}
}

// mutate applies a change as far as it makes sense; false when it doesn't.
func mutate(dir string, ch change) bool {
	full, to := filepath.Join(dir, ch.Path), filepath.Join(dir, ch.To)
	st, err := os.Lstat(full)
	exists := err == nil
	regular := exists && st.Mode().IsRegular()
	switch ch.Kind {
	case "append":
		if !regular {
			return false
		}
		dt, _ := os.ReadFile(full)
		return os.WriteFile(full, append(dt, "more\n"...), 0) == nil
	case "samestat":
		if !regular || st.Size() == 0 {
			return false
		}
		dt, _ := os.ReadFile(full)
		dt[0] ^= 1
		must(os.WriteFile(full, dt, 0))
		return os.Chtimes(full, st.ModTime(), st.ModTime()) == nil
	case "chmod":
		if !exists || st.Mode()&os.ModeSymlink != 0 {
			return false
		}
		var m uint32
		fmt.Sscanf(ch.To, "%o", &m)
		return syscall.Chmod(full, m) == nil
	case "delete":
		return exists && os.RemoveAll(full) == nil
	case "rename":
		if _, err := os.Lstat(to); err == nil || !exists {
			return false
		}
		return os.Rename(full, to) == nil
	case "touch":
		return exists && st.Mode()&os.ModeSymlink == 0 && os.Chtimes(full, time.Unix(1e9, 0), time.Unix(1e9, 0)) == nil
	case "new", "newdir":
		if exists {
			return false
		}
		if ch.Kind == "newdir" {
			return os.Mkdir(full, 0o755) == nil
		}
		return os.WriteFile(full, []byte("new\n"), 0o644) == nil
	case "retarget":
		return exists && st.Mode()&os.ModeSymlink != 0 && os.Remove(full) == nil && os.Symlink(ch.To, full) == nil
	case "tolink":
		return exists && os.RemoveAll(full) == nil && os.Symlink(ch.To, full) == nil
	}
	panic(ch.Kind)
}

// ---- Comparing ----

type tally struct {
	cases, failing, widened, changes, same, differ, narrower int
}

func compare(h *hasher, c *testCase, t *tally) (problem string) {
	top, err := os.MkdirTemp(work, "case")
	must(err)
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "context")
	materialize(c, dir)
	want, got := judge(c, dir), h.ask(c, dir)
	t.cases++
	if p := compareErrors(want, got); p != "" {
		return "at first: " + p
	}
	if want.err != nil {
		t.failing++
	}
	if got.Widened != "" {
		t.widened++
	}
	for i, ch := range c.Changes {
		if !mutate(dir, ch) {
			continue
		}
		want2, got2 := judge(c, dir), h.ask(c, dir)
		t.changes++
		if p := compareErrors(want2, got2); p != "" {
			return fmt.Sprintf("after change %d %v: %s", i, ch, p)
		}
		if want.err == nil && want2.err == nil && got.Error == "" && got2.Error == "" {
			sameKey, same := want.key == want2.key, got.Hash == got2.Hash
			if sameKey {
				t.same++
			} else {
				t.differ++
			}
			if same && !sameKey {
				return fmt.Sprintf("after change %d %v: BuildKit's key changes, the hash doesn't", i, ch)
			}
			if !same && sameKey && got2.Widened == "" {
				if want.result == want2.result {
					return fmt.Sprintf("after change %d %v: the hash changes, BuildKit's key doesn't", i, ch)
				}
				t.narrower++
			}
		}
		want, got = want2, got2
	}
	return ""
}

func compareErrors(want verdict, got answer) string {
	if (want.err != nil) == (got.Error != "") {
		return ""
	}
	if got.Widened != "" && want.err != nil {
		return "" // what is not known offline is not judged
	}
	return fmt.Sprintf("BuildKit says %v, the hash says %q", want.err, got.Error)
}

func main() {
	n := flag.Int("n", 300, "cases")
	seed := flag.Uint64("seed", 1, "of the first case; each next one has the next number")
	tool := flag.String("hash", "", "the program that hashes")
	verbose := flag.Bool("v", false, "print each case")
	flag.Parse()
	syscall.Umask(0o022)
	var err error
	work, err = os.MkdirTemp("", "gpudev-ctxdiff")
	must(err)
	defer os.RemoveAll(work)
	cmd := exec.Command(*tool)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(work, "cache"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(err)
	out, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	h := &hasher{in, bufio.NewReaderSize(out, 1<<20)}
	var t tally
	bad := 0
	for i := 0; i < *n; i++ {
		c := makeCase(*seed + uint64(i))
		p := compare(h, c, &t)
		if p != "" || *verbose {
			dt, _ := json.MarshalIndent(c, "", " ")
			fmt.Printf("case %d: %s\n%s\n%s\n", c.Seed, p, dt, c.Dockerfile)
		}
		if p != "" {
			bad++
		}
	}
	in.Close()
	must(cmd.Wait())
	fmt.Printf("%d cases (%d refused by both, %d widened), %d changes: %d to the key, %d not, %d to what is copied alone; %d disagreements\n",
		t.cases, t.failing, t.widened, t.changes, t.differ, t.same, t.narrower, bad)
	if bad > 0 {
		os.RemoveAll(work)
		os.Exit(1)
	}
}
