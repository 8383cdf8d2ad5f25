package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const maxManifest = 4 << 20

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// readManifest makes an image of a manifest's bytes; the media type is the
// request's, or else the one that stands in the manifest.
func readManifest(data []byte, mediaType string, at time.Time) (image, error) {
	type descriptor struct {
		Digest string `json:"digest"`
		Size   int64  `json:"size"`
	}
	var m struct {
		MediaType string       `json:"mediaType"`
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return image{}, err
	}
	if mediaType == "" {
		mediaType = m.MediaType
	}
	if mediaType == "" {
		return image{}, fmt.Errorf("no media type, neither in the request nor in the manifest")
	}
	i := image{digest: digestOf(data), mediaType: mediaType, manifest: data, pushedAt: at, size: m.Config.Size}
	for _, layer := range m.Layers {
		i.size += layer.Size
	}
	for _, child := range m.Manifests {
		i.children = append(i.children, child.Digest)
	}
	return i, nil
}

// Every type that a manifest may have.
var manifestTypes = []string{
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json",
}

// Docker's and OCI's names for the same things.
var mediaTypePairs = [][2]string{
	{"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"},
	{"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"},
	{"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"},
}

// accepts: an Accept header that is absent takes everything.
func accepts(header []string, mediaType string) bool {
	if len(header) == 0 {
		return true
	}
	for _, word := range strings.Split(strings.Join(header, ","), ",") {
		word, _, _ = strings.Cut(word, ";")
		if word = strings.TrimSpace(word); word == mediaType || word == "*/*" {
			return true
		}
	}
	return false
}

// converted is the image in a form that the client accepts. As ECR does it, a
// manifest asked for by tag is rewritten, and so has another digest.
func (i image) converted(accept []string) (image, bool) {
	if accepts(accept, i.mediaType) {
		return i, true
	}
	for from := range 2 {
		pair := mediaTypePairs[0]
		if i.mediaType != pair[from] || !accepts(accept, pair[1-from]) {
			continue
		}
		text := string(i.manifest)
		for _, p := range mediaTypePairs {
			text = strings.ReplaceAll(text, `"`+p[from]+`"`, `"`+p[1-from]+`"`)
		}
		i.manifest, i.mediaType = []byte(text), pair[1-from]
		i.digest = digestOf(i.manifest)
		return i, true
	}
	return i, false
}
