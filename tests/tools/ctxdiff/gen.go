package main

// Random contexts, Dockerfiles, ignore files and changes. Names are few and alike, so that they meet.

import (
	"fmt"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
)

type entry struct {
	Kind    string // file, dir, link, fifo
	Content string
	Link    string
	Mode    uint32
}

type testCase struct {
	Seed       uint64
	Tree       map[string]entry
	Dockerfile string
	File       string
	Target     string
	Platform   string
	Args       map[string]string
	Ignore     *string
	Specific   *string // <Dockerfile>.dockerignore
	Changes    []change
}

type change struct {
	Kind, Path, To string
}

type gen struct {
	*rand.Rand
	paths []string // of the tree, sorted
	tree  map[string]entry
	vars  []string
}

func (g *gen) one(list ...string) string { return list[g.IntN(len(list))] }
func (g *gen) chance(percent int) bool   { return g.IntN(100) < percent }

var names = []string{"a", "b", "c", "x.go", "y.go", "a.txt", "b.txt", "x.o", ".o", ".git", ".env", "src", "Src", "foo", "foobar", "foo.d", "fbo", "fao",
	"api", "shared", "README.md", "x.pyc", "[ab].txt", "q?z", "a*b", "$dollar", "tilde~", "q'uote", " led", "trail ", "#c", "!bang", "100%", "<<EOF", "é", "a\\b", "Makefile", "app.py"}

var linkNames = []string{"l", "cur", "latest", "a.lnk", "x.o", "foo"}

func (g *gen) name() string {
	if g.chance(70) {
		return names[g.IntN(14)]
	}
	return names[g.IntN(len(names))]
}

func (g *gen) add(p string, e entry) {
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if x, ok := g.tree[d]; ok && x.Kind != "dir" {
			return
		}
	}
	if x, ok := g.tree[p]; ok && (x.Kind == "dir" || e.Kind == "dir") {
		return
	}
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if _, ok := g.tree[d]; !ok {
			g.tree[d] = entry{Kind: "dir", Mode: 0o755}
		}
	}
	g.tree[p] = e
}

func (g *gen) linkText(at string) string {
	switch g.IntN(10) {
	case 0:
		return "nowhere"
	case 1:
		return g.one("..", "../..", "/", ".", "../../../..")
	case 2:
		return "/" + g.anyPath()
	case 3:
		return path.Base(at)
	case 4:
		return "../" + g.anyPath()
	}
	target := g.anyPath()
	up := strings.Repeat("../", strings.Count(at, "/"))
	if g.chance(20) {
		up = "./" + up
	}
	return up + target
}

func (g *gen) anyPath() string {
	if len(g.paths) == 0 || g.chance(8) {
		p := g.name()
		if g.chance(30) {
			p += "/" + g.name()
		}
		return p
	}
	return g.paths[g.IntN(len(g.paths))]
}

func (g *gen) index() {
	g.paths = g.paths[:0]
	for p := range g.tree {
		g.paths = append(g.paths, p)
	}
	sort.Strings(g.paths)
}

func (g *gen) makeTree() {
	g.tree = map[string]entry{}
	for n := 1 + g.IntN(12); n > 0; n-- {
		depth, p := 1+g.IntN(3), ""
		for i := 0; i < depth; i++ {
			if i == 0 && len(g.paths) > 0 && g.chance(50) {
				p = g.paths[g.IntN(len(g.paths))]
				continue
			}
			p = path.Join(p, g.name())
		}
		mode := uint32(0o644)
		if g.chance(15) {
			mode = []uint32{0o755, 0o600, 0o4755, 0o664}[g.IntN(4)]
		}
		switch {
		case g.chance(70):
			content := p + "\n"
			if g.chance(5) {
				content = ""
			}
			g.add(p, entry{Kind: "file", Content: content, Mode: mode})
		case g.chance(95):
			g.add(p, entry{Kind: "dir", Mode: []uint32{0o755, 0o755, 0o775, 0o2755, 0o700}[g.IntN(5)]})
		default:
			g.add(p, entry{Kind: "fifo", Mode: 0o644})
		}
		g.index()
	}
	for n := g.IntN(4); n > 0; n-- {
		p := linkNames[g.IntN(len(linkNames))]
		if g.chance(40) {
			p = path.Join(path.Dir(g.anyPath()), p)
		}
		g.add(p, entry{Kind: "link", Link: g.linkText(p)})
		g.index()
	}
}

// ---- Ignore files ----

func (g *gen) pattern() string {
	p := g.anyPath()
	switch g.IntN(12) {
	case 0:
		p = "**/" + path.Base(p)
	case 1:
		p = "*/" + path.Base(p)
	case 2:
		p = path.Dir(p) + "/*"
	case 3:
		p = g.one("*", "**", "*.go", "**/*.go", "*.txt", "**foo", "foo**", "foo/**", "a/**b", "f[^a]o", "f[!a]o", "**/.o", "*/*", "**/*", "?", "*.*", "./a/../b", "/a/", "a/*/**")
	case 4:
		p = g.glob(p)
	case 5:
		p = path.Dir(p)
	case 6:
		p += "/**"
	}
	if g.chance(8) {
		p = g.one("/", "./", "x/../", " ", "\t") + p
	}
	if g.chance(5) {
		p += g.one("/", " ", "/.")
	}
	if g.chance(2) {
		p = g.one("[", "x\\d", "[z-a]", "a\\", "[a-]", "x\\y", "\\!x", "[[:alpha:]]*", "a|b", "(a)", "x+", "\\pL*", "#c", "^a*", "[*]x", "[?]")
	}
	return p
}

func (g *gen) ignore() *string {
	var b strings.Builder
	if g.chance(3) {
		b.WriteString("\xEF\xBB\xBF")
	}
	for n := g.IntN(6); n > 0; n-- {
		if g.chance(5) {
			b.WriteString(g.one("# comment\n", "\n", "  \n"))
		}
		if g.chance(30) {
			b.WriteString(g.one("!", "!", "!", "! ", " !"))
		}
		b.WriteString(g.pattern())
		b.WriteString(g.one("\n", "\n", "\n", "\r\n"))
	}
	s := b.String()
	return &s
}

// ---- Dockerfiles ----

// glob puts a wildcard into a path.
func (g *gen) glob(p string) string {
	parts := strings.Split(p, "/")
	i := g.IntN(len(parts))
	s := parts[i]
	switch g.IntN(7) {
	case 0:
		s = "*"
	case 1:
		if dot := strings.LastIndex(s, "."); dot >= 0 {
			s = "*" + s[dot:]
		} else {
			s = s[:1] + "*"
		}
	case 2:
		s = s[:len(s)-1] + "?"
	case 3:
		s = "[" + s[:1] + "]" + s[1:]
	case 4:
		s = g.one("**", "[^Q]*", "[a-z]*", "*[!a]", "?*")
	case 5:
		s = "*" + s
	case 6:
		s += "*"
	}
	parts[i] = s
	return strings.Join(parts, "/")
}

func (g *gen) source() string {
	p := g.anyPath()
	switch g.IntN(14) {
	case 0:
		return g.one(".", "./", "/", "", "..", "*", "*/", "./*", "*/*", "**", "**/*", "../../")
	case 1, 2, 3:
		p = g.glob(p)
	case 4:
		p = path.Dir(p)
	case 5:
		p = "/" + p
	case 6:
		p += "/"
	case 7:
		p = "./" + p
	case 8:
		p = "x/../" + p
	case 9:
		p = "../" + p
	}
	return p
}

// word writes a source so that expansion gives it back, or nearly.
func (g *gen) word(s string) string {
	if len(g.vars) > 0 && g.chance(12) {
		v := g.vars[g.IntN(len(g.vars))]
		return g.one("$"+v, "${"+v+"}", "${"+v+":-"+s+"}", "${"+v+":+"+s+"}", "${"+v+"-"+s+"}", "${"+v+"##*/}", "${"+v+"%.*}", "${"+v+"/a/b}", "${"+v+"#pre-}", "${"+v+"//o/0}", "${"+v+"%%/*}")
	}
	if s == "" {
		return g.one("$UNSET", "${UNSET}", "\"\"")
	}
	if strings.ContainsAny(s, "$'\"\\ <") && g.chance(80) {
		if !strings.Contains(s, "'") && !strings.Contains(s, " ") && g.chance(50) {
			return "'" + s + "'"
		}
		return strings.NewReplacer("\\", "\\\\", "$", "\\$", "'", "\\'", "\"", "\\\"").Replace(s)
	}
	if g.chance(5) && !strings.ContainsAny(s, "\"$\\ ") {
		return "\"" + s + "\""
	}
	return s
}

func (g *gen) flags(parents bool) string {
	var f []string
	if g.chance(10) {
		f = append(f, g.one("--link", "--link=true", "--link=false", "--link=True"))
	}
	if g.chance(8) {
		f = append(f, g.one("--chmod=0644", "--chmod=u+x", "--chmod=755"))
	}
	if g.chance(8) {
		f = append(f, "--chown=1:2")
	}
	for g.chance(14) {
		f = append(f, "--exclude="+strings.ReplaceAll(strings.ReplaceAll(g.pattern(), " ", "?"), "\t", ""))
	}
	if parents {
		f = append(f, g.one("--parents", "--parents=true"))
	}
	g.Shuffle(len(f), func(i, j int) { f[i], f[j] = f[j], f[i] })
	if len(f) == 0 {
		return ""
	}
	return strings.Join(f, g.one(" ", " ", " \\\n  ")) + " "
}

func (g *gen) copyLine(n int) string {
	cmd := g.one("COPY", "COPY", "COPY", "copy", "ADD")
	parents := cmd != "ADD" && g.chance(15)
	dest := fmt.Sprintf("/o%d/", n)
	var words []string
	for k := 1 + g.IntN(2)*g.IntN(3); k > 0; k-- {
		s := g.source()
		if parents && g.chance(40) && strings.Contains(s, "/") {
			i := strings.Index(s, "/")
			s = s[:i] + "/." + s[i:]
		}
		words = append(words, s)
	}
	line := cmd + " " + g.flags(parents)
	json := g.chance(15)
	for _, w := range words {
		json = json || (strings.Contains(w, " ") && g.chance(90))
	}
	if json {
		var q []string
		for _, w := range append(words, dest) {
			q = append(q, "\""+strings.NewReplacer("\\", "\\\\\\\\", "\"", "\\\"", "$", "\\\\$", "'", "\\\\'").Replace(w)+"\"")
		}
		return line + "[" + strings.Join(q, g.one(",", ", ")) + "]\n"
	}
	for i, w := range words {
		words[i] = g.word(w)
	}
	if g.chance(4) {
		words = append(words, "<<E")
		return line + strings.Join(words, " ") + " " + dest + "\nCOPY no such\nE\n"
	}
	return line + strings.Join(append(words, dest), g.one(" ", " ", "\t", "  ", " \\\n ")) + "\n"
}

func (g *gen) mount() string {
	m := []string{fmt.Sprintf("target=/m%d", g.IntN(1000))}
	if g.chance(70) {
		s := g.anyPath()
		if g.chance(20) {
			s = g.one("/", ".", "", "x/../"+s, "../"+s, g.glob(s))
		}
		if !strings.ContainsAny(s, "$'\"\\, ") {
			m = append(m, g.one("source=", "src=", "Source=")+s)
		}
	}
	if g.chance(20) {
		m = append(m, g.one("type=bind", "type=BIND", "rw", "ro", "readonly=true"))
	}
	if g.chance(15) {
		m = append(m, g.one("type=cache", "type=tmpfs"))
	}
	return "--mount=" + strings.Join(m, ",")
}

func (g *gen) variable() string {
	v := g.one("V1", "V2", "P", "EMPTY")
	value := g.anyPath()
	if g.chance(20) {
		value = "pre-" + value
	}
	if strings.ContainsAny(value, " $'\"\\<") {
		value = "a"
	}
	if v == "EMPTY" {
		value = ""
	}
	g.vars = append(g.vars, v)
	return g.one("ENV "+v+"="+value, "ARG "+v+"="+value, "ARG "+v, "ENV "+v+"=${"+v+":-"+value+"}", "ARG "+v+"="+value+" W=$"+v) + "\n"
}

func (g *gen) stage(b *strings.Builder, i, total int, n *int) {
	base := g.one("scratch", "scratch", "base")
	if i > 0 && g.chance(30) {
		base = fmt.Sprintf("st%d", g.IntN(i))
	}
	fmt.Fprintf(b, "FROM %s", base)
	if total > 1 || g.chance(30) {
		fmt.Fprintf(b, " %s %sst%d", g.one("AS", "as", "As"), "", i)
	}
	b.WriteString("\n")
	for k := 1 + g.IntN(3); k > 0; k-- {
		*n++
		switch {
		case g.chance(20):
			b.WriteString(g.variable())
		case g.chance(15):
			fmt.Fprintf(b, "RUN %s%s true\n", g.mount(), g.one("", "", " "+g.mount()))
		case i > 0 && g.chance(20):
			fmt.Fprintf(b, "COPY --from=%s %s /f%d/\n", g.one(fmt.Sprintf("st%d", g.IntN(i)), fmt.Sprint(g.IntN(i)), "other"), g.one("/", "a", "/o1"), *n)
		case g.chance(8) && base != "base":
			b.WriteString("ONBUILD " + g.copyLine(*n))
		case g.chance(3):
			b.WriteString(g.one("ADD https://example.com/x /u/\n", "WORKDIR /w\n", "# COPY a b\n", "RUN <<E\nCOPY a b\nE\n", "LABEL a=b\n"))
		default:
			b.WriteString(g.copyLine(*n))
		}
	}
}

func (g *gen) dockerfile(c *testCase) {
	var b strings.Builder
	if g.chance(4) {
		b.WriteString(g.one("# syntax=docker/dockerfile:1\n", "# escape=\\\n", "#!/x\n", "# comment\n"))
	}
	if g.chance(10) {
		b.WriteString("ARG V1=" + g.one("a", "src", "x") + "\n")
		g.vars = append(g.vars, "V1")
	}
	stages, n := 1+g.IntN(2)*g.IntN(3), 0
	for i := 0; i < stages; i++ {
		g.stage(&b, i, stages, &n)
	}
	if stages > 1 && g.chance(30) {
		c.Target = fmt.Sprintf("st%d", g.IntN(stages))
	}
	c.Dockerfile = b.String()
	if g.chance(3) {
		c.Dockerfile = strings.ReplaceAll(c.Dockerfile, "\n", "\r\n")
	}
}

// ---- Changes ----

func (g *gen) change() change {
	p := g.anyPath()
	switch g.IntN(12) {
	case 0, 1:
		return change{Kind: "append", Path: p}
	case 2, 3:
		return change{Kind: "chmod", Path: p, To: g.one("0755", "0600", "0700", "0664")}
	case 4:
		return change{Kind: "delete", Path: p}
	case 5:
		return change{Kind: "rename", Path: p, To: path.Join(path.Dir(p), g.name())}
	case 6:
		return change{Kind: "touch", Path: p}
	case 7:
		return change{Kind: "new", Path: path.Join(g.one(path.Dir(p), p), g.name())}
	case 8:
		return change{Kind: "retarget", Path: p, To: g.linkText(p)}
	case 9:
		return change{Kind: "newdir", Path: path.Join(path.Dir(p), g.name())}
	case 10:
		return change{Kind: "samestat", Path: p}
	}
	return change{Kind: "tolink", Path: p, To: g.linkText(p)}
}

func makeCase(seed uint64) *testCase {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 7))}
	c := &testCase{Seed: seed, File: "Dockerfile", Platform: g.one("linux/amd64", "linux/arm64", "linux/arm/v7"), Args: map[string]string{}}
	if g.chance(10) {
		c.File = g.one("docker/Dockerfile", "api.Dockerfile", "../outside/Dockerfile")
	}
	g.makeTree()
	if g.chance(60) {
		c.Ignore = g.ignore()
	}
	if g.chance(5) {
		c.Specific = g.ignore()
	}
	g.dockerfile(c)
	if g.chance(15) {
		c.Args["V1"] = g.anyPath()
	}
	c.Tree = g.tree
	for n := 2 + g.IntN(4); n > 0; n-- {
		c.Changes = append(c.Changes, g.change())
	}
	return c
}
