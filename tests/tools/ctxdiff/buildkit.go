package main

// The oracle: BuildKit's frontend says what is asked for, its transfer what arrives, its content hash what the key is, and
// its copy what fails.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	gofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/cache/contenthash"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/snapshot"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/moby/sys/user"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	fscopy "github.com/tonistiigi/fsutil/copy"
	"github.com/tonistiigi/fsutil/types"
)

// verdict is what BuildKit makes of a case.
type verdict struct {
	err    error
	key    string // of all that is read of the context
	result string // of what arrives in the image: tells where the key is narrower than that
}

type selector struct {
	path                       string
	wildcard, follow           bool
	include, exclude, required []string
	isCopy                     bool
	unpack                     bool
}

func (s selector) filtered() bool { return s.wildcard || len(s.include) != 0 || len(s.exclude) != 0 }

func judge(c *testCase, dir string) (v verdict) {
	groups, follow, excludes, err := frontend(c, dir)
	if err != nil {
		return verdict{err: err}
	}
	if len(groups) == 0 {
		return verdict{key: "nothing", result: "nothing"}
	}
	dest, err := os.MkdirTemp(work, "sent")
	must(err)
	defer os.RemoveAll(dest)
	cc, m, err := transfer(dir, dest, excludes, follow)
	if err != nil {
		return verdict{err: err}
	}
	h, res := sha256.New(), sha256.New()
	for _, g := range groups {
		for _, s := range dedupe(g) {
			d, err := cc.Checksum(context.TODO(), m, path.Join("/", s.path), contenthash.ChecksumOpts{
				Wildcard: s.wildcard, FollowLinks: s.follow, IncludePatterns: s.include,
				ExcludePatterns: s.exclude, RequiredPaths: s.required,
			}, nil)
			if err != nil {
				return verdict{err: err}
			}
			fmt.Fprintln(h, d)
		}
		for _, s := range g {
			if err := apply(dest, s, res); err != nil {
				return verdict{err: err}
			}
		}
	}
	return verdict{key: hex.EncodeToString(h.Sum(nil)), result: hex.EncodeToString(res.Sum(nil))}
}

type resolver struct{}

func (resolver) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	dt, err := json.Marshal(ocispecs.Image{Platform: platforms.DefaultSpec(), RootFS: ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("x")}}})
	return ref, digest.FromString(ref), dt, err
}

// ignoreList is what dockerui's client reads.
func ignoreList(c *testCase, dir string) ([]string, error) {
	name := filepath.Join(dir, c.File) + ".dockerignore"
	dt, err := os.ReadFile(name)
	if err != nil {
		dt, err = os.ReadFile(filepath.Join(dir, ".dockerignore"))
	}
	if err != nil {
		return nil, nil
	}
	list, err := ignorefile.ReadAll(bytes.NewReader(dt))
	if err != nil {
		return nil, err
	}
	_, err = patternmatcher.New(list)
	return list, err
}

// frontend gives the selectors of each operation, and what the request for the context says.
func frontend(c *testCase, dir string) (groups [][]selector, follow, excludes []string, err error) {
	excludes, err = ignoreList(c, dir)
	if err != nil {
		return nil, nil, nil, err
	}
	opt := dockerfile2llb.ConvertOpt{MetaResolver: resolver{}}
	opt.Config = dockerui.Config{BuildArgs: map[string]string{}, Target: c.Target}
	for k, v := range c.Args {
		opt.BuildArgs[k] = v
	}
	caps := pb.Caps.CapSet(pb.Caps.All())
	opt.LLBCaps = &caps
	p := platforms.MustParse(c.Platform)
	p = platforms.Normalize(p)
	opt.TargetPlatform = &p
	b := platforms.MustParse(builderPlatform)
	opt.BuildPlatforms = []ocispecs.Platform{b}
	res, err := dockerfile2llb.Dockerfile2LLB(context.TODO(), []byte(c.Dockerfile), opt)
	if err != nil {
		return nil, nil, nil, err
	}
	def, err := res.State.Marshal(context.TODO(), llb.Platform(p))
	if err != nil {
		return nil, nil, nil, err
	}
	return readDefinition(def, excludes)
}

func readDefinition(def *llb.Definition, excludes []string) (groups [][]selector, follow, _ []string, err error) {
	locals := map[string]bool{}
	ops := make([]*pb.Op, len(def.Def))
	for i, dt := range def.Def {
		ops[i] = &pb.Op{}
		if err := ops[i].UnmarshalVT(dt); err != nil {
			return nil, nil, nil, err
		}
		if s := ops[i].GetSource(); s != nil && strings.HasPrefix(s.Identifier, "local://") {
			locals[digest.FromBytes(dt).String()] = true
			if f := s.Attrs[pb.AttrFollowPaths]; f != "" {
				if err := json.Unmarshal([]byte(f), &follow); err != nil {
					return nil, nil, nil, err
				}
			}
		}
	}
	for _, op := range ops {
		isLocal := func(i int64) bool { return i >= 0 && int(i) < len(op.Inputs) && locals[op.Inputs[i].Digest] }
		var g []selector
		if f := op.GetFile(); f != nil {
			for _, a := range f.Actions {
				if cp := a.GetCopy(); cp != nil && isLocal(a.SecondaryInput) {
					g = append(g, selector{path: cp.Src, wildcard: cp.AllowWildcard && containsWildcards(cp.Src), follow: cp.FollowSymlink,
						include: cp.IncludePatterns, exclude: cp.ExcludePatterns, required: cp.RequiredPaths, isCopy: true})
				}
			}
		}
		if e := op.GetExec(); e != nil {
			for _, m := range e.Mounts {
				if m.MountType == pb.MountType_BIND && isLocal(m.Input) {
					g = append(g, selector{path: path.Join("/", m.Selector), follow: true})
				}
			}
		}
		if len(g) > 0 {
			groups = append(groups, g)
		}
	}
	return groups, follow, excludes, nil
}

func containsWildcards(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// dedupe drops sources below another, as the solver does.
func dedupe(in []selector) (out []selector) {
	if slices.ContainsFunc(in, func(s selector) bool { return !s.isCopy && s.path == "/" }) {
		return []selector{{}} // a mount of everything hides the others
	}
	for i, s := range in {
		below := false
		for k, o := range in {
			if s.filtered() || o.filtered() || i == k || s.follow != o.follow {
				continue
			}
			if (s.path == o.path && k < i) || (s.path != o.path && strings.HasPrefix(s.path, strings.TrimSuffix(o.path, "/")+"/")) {
				below = true
			}
		}
		if !below {
			out = append(out, s)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

// ---- Transfer ----

type pipe struct {
	ctx context.Context
	in  <-chan *types.Packet
	out chan<- *types.Packet
}

func (p *pipe) Context() context.Context { return p.ctx }
func (p *pipe) SendMsg(m any) error {
	dt, err := m.(*types.Packet).MarshalVT()
	if err != nil {
		return err
	}
	c := &types.Packet{}
	if err := c.UnmarshalVT(dt); err != nil {
		return err
	}
	select {
	case p.out <- c:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}
func (p *pipe) RecvMsg(m any) error {
	select {
	case c, ok := <-p.in:
		if !ok {
			return io.EOF
		}
		*m.(*types.Packet) = types.Packet{Type: c.Type, Stat: c.Stat, ID: c.ID, Data: c.Data} //nolint:govet
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

type metadata struct {
	cache.RefMetadata
	id string
}

func (m metadata) ID() string                                 { return m.id }
func (m metadata) GetExternal(string) ([]byte, error)         { return nil, errors.New("none") }
func (m metadata) SetExternal(string, []byte) error           { return nil }
func (m metadata) GetEqualMutable() (cache.RefMetadata, bool) { return nil, false }

type mountable struct{ dir string }

func (m mountable) Mount(context.Context, bool, session.Group) (snapshot.Mountable, error) {
	return mounted{m.dir}, nil
}

type mounted struct{ dir string }

func (m mounted) Mount() ([]mount.Mount, func() error, error) {
	return []mount.Mount{{Type: "bind", Source: m.dir, Options: []string{"rbind"}}}, func() error { return nil }, nil
}
func (m mounted) IdentityMapping() *user.IdentityMapping { return nil }

var serial int

func transfer(dir, dest string, excludes, follow []string) (contenthash.CacheContext, cache.Mountable, error) {
	base, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, nil, err
	}
	filtered, err := fsutil.NewFilterFS(base, &fsutil.FilterOpt{ExcludePatterns: excludes, FollowPaths: follow, Map: func(_ string, st *types.Stat) fsutil.MapResult {
		st.Uid, st.Gid = 0, 0
		return fsutil.MapResultKeep
	}})
	if err != nil {
		return nil, nil, err
	}
	serial++
	md := metadata{id: fmt.Sprintf("case-%d", serial)}
	cc, err := contenthash.GetCacheContext(context.TODO(), md)
	must(err)
	defer contenthash.ClearCacheContext(md)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a, b := make(chan *types.Packet, 128), make(chan *types.Packet, 128)
	sent := make(chan error, 1)
	go func() {
		err := fsutil.Send(ctx, &pipe{ctx, b, a}, filtered, nil)
		if err != nil {
			cancel()
		}
		close(a)
		sent <- err
	}()
	err = fsutil.Receive(ctx, &pipe{ctx, a, b}, dest, fsutil.ReceiveOpt{NotifyHashed: cc.HandleChange, ContentHasher: contenthash.NewFromStat})
	if err != nil {
		cancel()
	}
	if serr := <-sent; err == nil {
		err = serr
	}
	return cc, mountable{dest}, err
}

// ---- Copying ----

// apply does what the file backend does for one COPY, into an empty place, and hashes what comes out.
func apply(root string, s selector, res io.Writer) error {
	if !s.isCopy { // mounting what isn't there fails when the step runs
		p, err := fs.RootPath(root, s.path)
		if err == nil {
			_, err = os.Lstat(p)
		}
		return err
	}
	to, err := os.MkdirTemp(work, "copied")
	must(err)
	defer os.RemoveAll(to)
	src := filepath.Join("/", s.path)
	matches, err := fscopy.ResolveWildcards(root, src, s.follow)
	if err != nil {
		return err
	}
	if !containsWildcards(src) && len(matches) == 0 {
		return errors.New("nothing found")
	}
	for _, m := range matches {
		err := fscopy.Copy(context.TODO(), root, m, to, "/o/", func(ci *fscopy.CopyInfo) {
			ci.IncludePatterns, ci.ExcludePatterns = s.include, s.exclude
			ci.CopyDirContents, ci.FollowLinks = true, s.follow
		}, fscopy.WithXAttrErrorHandler(func(_, _, _ string, err error) error { return nil }))
		if err != nil && !clash(err) {
			return err
		}
	}
	return describe(to, res)
}

// clash: two matches of one name; whether that fails depends on what is in the image already.
func clash(err error) bool {
	return strings.Contains(err.Error(), "cannot replace") || strings.Contains(err.Error(), "file exists") ||
		strings.Contains(err.Error(), "not a directory") || strings.Contains(err.Error(), "is a directory") || strings.Contains(err.Error(), "cannot overwrite") || strings.Contains(err.Error(), "cannot copy to non-directory")
}

func describe(dir string, w io.Writer) error {
	return filepath.WalkDir(dir, func(p string, d gofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		fmt.Fprintf(w, "%q %v ", rel, fi.Mode())
		switch {
		case fi.Mode().IsRegular():
			dt, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			w.Write(dt)
		case fi.Mode()&os.ModeSymlink != 0:
			l, _ := os.Readlink(p)
			fmt.Fprint(w, l)
		}
		fmt.Fprintln(w)
		return nil
	})
}
