package main

import (
	"path"
	"slices"
	"sync"
	"time"
)

// image is one manifest in a repository.
type image struct {
	digest, mediaType string
	manifest          []byte
	size              int64 // of what it refers to, as ECR counts it
	pushedAt          time.Time
	pulledAt          time.Time
	children          []string // digests, of an index
	scanned           bool
}

// repository has each image once; a tag is only a name for a digest.
type repository struct {
	images map[string]*image
	order  []string // digests as they came
	tags   map[string]string
}

func (r *repository) tagsOf(digest string) []string {
	var tags []string
	for tag, d := range r.tags {
		if d == digest {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

func (r *repository) remove(digest string) {
	delete(r.images, digest)
	r.order = slices.DeleteFunc(r.order, func(d string) bool { return d == digest })
	for _, tag := range r.tagsOf(digest) {
		delete(r.tags, tag)
	}
}

// parentOf is an index that needs the image, or nothing.
func (r *repository) parentOf(digest string) string {
	for _, i := range r.images {
		if slices.Contains(i.children, digest) {
			return i.digest
		}
	}
	return ""
}

// images are all repositories' images. Whoever uses a repository holds the lock.
type images struct {
	mu    sync.Mutex
	repos map[repoID]*repository
}

func (s *images) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.repos)
}

// in is the repository; the caller holds the lock.
func (s *images) in(id repoID) *repository {
	r := s.repos[id]
	if r == nil {
		r = &repository{images: map[string]*image{}, tags: map[string]string{}}
		s.repos[id] = r
	}
	return r
}

// outcome of a put.
type outcome int

const (
	stored     outcome = iota
	unchanged          // this digest had this tag already
	tagIsTaken         // the tag is immutable and names another image
)

// put stores an image and its tag, if any, at a stroke.
func (s *images) put(id repoID, facts repoFacts, tag string, i image) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.in(id)
	old, tagged := r.tags[tag]
	if tag != "" && tagged && old != i.digest && facts.immutable(tag) {
		return tagIsTaken
	}
	_, known := r.images[i.digest]
	if known && (tag == "" || old == i.digest) {
		return unchanged
	}
	if !known {
		for _, child := range i.children {
			if c := r.images[child]; c != nil {
				i.size += c.size
			}
		}
		r.images[i.digest] = &i
		r.order = append(r.order, i.digest)
	}
	if tag != "" {
		r.tags[tag] = i.digest
	}
	return stored
}

// taken tells whether put would refuse, before anything is written elsewhere.
func (s *images) taken(id repoID, facts repoFacts, tag, digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, tagged := s.in(id).tags[tag]
	return tag != "" && tagged && old != digest && facts.immutable(tag)
}

// get finds an image by digest or tag and copies it.
func (s *images) get(id repoID, reference string) (image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.in(id)
	if digest, ok := r.tags[reference]; ok {
		reference = digest
	}
	i, ok := r.images[reference]
	if !ok {
		return image{}, false
	}
	return *i, true
}

func (s *images) pulled(id repoID, digest string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.in(id).images[digest]; i != nil {
		i.pulledAt = at
	}
}

// immutable tells whether the repository forbids moving this tag.
func (f repoFacts) immutable(tag string) bool {
	excluded := slices.ContainsFunc(f.Filters, func(filter struct {
		Filter string `json:"filter"`
	}) bool {
		hit, _ := path.Match(filter.Filter, tag)
		return hit
	})
	switch f.Mutability {
	case "IMMUTABLE":
		return true
	case "IMMUTABLE_WITH_EXCLUSION":
		return !excluded
	case "MUTABLE_WITH_EXCLUSION":
		return excluded
	}
	return false
}
