package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const minPart = 5 << 20 // of an upload in parts, all but the last

// layers is the distribution behind us. There, a repository's name begins with
// the account and the region.
type layers struct {
	url    *url.URL
	client http.Client
	proxy  *httputil.ReverseProxy

	mu    sync.Mutex
	parts map[string]int64 // upload → size of its last part
	links map[string]repoBlob
}

// repoBlob is what a link to the layers' host leads to.
type repoBlob struct {
	id     repoID
	digest string
}

func newLayers(address string) *layers {
	target, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	l := &layers{url: target, parts: map[string]int64{}, links: map[string]repoBlob{}}
	l.proxy = &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Authorization")
		},
		ModifyResponse: adapt,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				registryError(w, http.StatusBadGateway, "UNKNOWN", err.Error())
			}
		},
	}
	return l
}

func (id repoID) prefix() string { return "/v2/" + id.account + "/" + id.region + "/" }

// adapt makes an answer of the distribution's one of ECR's.
func adapt(response *http.Response) error {
	if place := response.Header.Get("Location"); place != "" {
		u, err := url.Parse(place)
		if err != nil {
			return err
		}
		// /v2/ACCOUNT/REGION/NAME… → /v2/NAME…
		part := strings.SplitN(u.Path, "/", 5)
		if len(part) == 5 {
			u.Path = "/v2/" + part[4]
		}
		u.Scheme, u.Host = "", ""
		response.Header.Set("Location", u.String())
	}
	if response.Request.Method == http.MethodPatch && response.StatusCode == http.StatusAccepted {
		response.StatusCode, response.Status = http.StatusCreated, "201 Created"
	}
	return nil
}

// forward passes a request for blobs and uploads on.
func (l *layers) forward(w http.ResponseWriter, r *http.Request, id repoID) {
	if r.Method == http.MethodPatch && l.tooSmall(r) {
		registryError(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "LayerPartTooSmall: layer parts must be at least 5 MiB but for the last one")
		return
	}
	out := r.Clone(r.Context())
	out.URL.Path = id.prefix() + strings.TrimPrefix(r.URL.Path, "/v2/")
	out.URL.RawPath = ""
	if r.Method == http.MethodPost {
		// Mounting is off, as in an account that didn't switch it on: 202.
		query := out.URL.Query()
		query.Del("mount")
		query.Del("from")
		out.URL.RawQuery = query.Encode()
	}
	l.proxy.ServeHTTP(w, out)
}

// tooSmall tells whether another part comes after one that was too small.
func (l *layers) tooSmall(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, more := l.parts[r.URL.Path]
	l.parts[r.URL.Path] = r.ContentLength
	return more && before >= 0 && before < minPart
}

func (l *layers) manifest(ctx context.Context, method string, id repoID, digest string, body []byte, mediaType string) (reply, error) {
	target := l.url.String() + id.prefix() + id.name + "/manifests/" + digest
	out, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if mediaType != "" {
		out.Header.Set("Content-Type", mediaType)
	}
	out.Header["Accept"] = manifestTypes
	response, err := l.client.Do(out)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, text}, err
}

func (l *layers) putManifest(ctx context.Context, id repoID, i image) (reply, error) {
	return l.manifest(ctx, http.MethodPut, id, i.digest, i.manifest, i.mediaType)
}

func (l *layers) deleteManifest(ctx context.Context, id repoID, digest string) error {
	answer, err := l.manifest(ctx, http.MethodDelete, id, digest, nil, "")
	if err == nil && answer.status != http.StatusAccepted && answer.status != http.StatusNotFound {
		err = fmt.Errorf("the distribution answers %d: %s", answer.status, answer.body)
	}
	return err
}

// drop forgets a deleted repository's blobs: a new one of that name is empty.
// Repositories below it (NAME/…) stay.
func (l *layers) drop(storage string, id repoID) {
	folder := filepath.Join(storage, "docker/registry/v2/repositories", id.account, id.region, id.name)
	for _, part := range []string{"_layers", "_manifests", "_uploads"} {
		os.RemoveAll(filepath.Join(folder, part))
	}
}

// redirectBlob: blobs come from another host, where the registry's credentials
// must not be sent.
func (f *front) redirectBlob(w http.ResponseWriter, r *http.Request, id repoID, digest string) {
	secret := newID()
	f.layers.mu.Lock()
	f.layers.links[secret] = repoBlob{id, digest}
	f.layers.mu.Unlock()
	w.Header().Set("Location", fmt.Sprintf("https://prod-%s-starport-layer-bucket.s3.%s.amazonaws.com/%s?X-Amz-Signature=%s",
		id.region, id.region, digest, secret))
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (f *front) layer(w http.ResponseWriter, r *http.Request) {
	f.layers.mu.Lock()
	blob, ok := f.layers.links[r.URL.Query().Get("X-Amz-Signature")]
	f.layers.mu.Unlock()
	if r.Header.Get("Authorization") != "" {
		writeXML(w, http.StatusBadRequest, "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>")
		return
	}
	if !ok {
		writeXML(w, http.StatusForbidden, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
		return
	}
	out := r.Clone(r.Context())
	out.URL.Path, out.URL.RawPath, out.URL.RawQuery = blob.id.prefix()+blob.id.name+"/blobs/"+blob.digest, "", ""
	f.layers.proxy.ServeHTTP(w, out)
}
