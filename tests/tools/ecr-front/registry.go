package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The data plane: the OCI distribution API with ECR's manners.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md

var registryPath = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs/uploads|blobs|tags|referrers)/?([^/]*)$`)

// registryOperation names a request for the log and for faults.
func registryOperation(method, path string) string {
	m := registryPath.FindStringSubmatch(path)
	if m == nil {
		return "Ping"
	}
	verb := map[string]string{"GET": "Get", "HEAD": "Head", "PUT": "Put", "PATCH": "Patch", "POST": "Start", "DELETE": "Delete"}[method]
	return verb + map[string]string{"manifests": "Manifest", "blobs/uploads": "Upload", "blobs": "Blob", "tags": "Tags", "referrers": "Referrers"}[m[2]]
}

// The action that a request needs.
var registryActions = map[string]string{
	"GetManifest": "ecr:BatchGetImage", "HeadManifest": "ecr:BatchGetImage", "GetTags": "ecr:ListImages",
	"GetBlob": "ecr:GetDownloadUrlForLayer", "HeadBlob": "ecr:BatchCheckLayerAvailability",
	"StartUpload": "ecr:InitiateLayerUpload", "PatchUpload": "ecr:UploadLayerPart", "GetUpload": "ecr:UploadLayerPart",
	"PutUpload": "ecr:CompleteLayerUpload", "DeleteUpload": "ecr:CompleteLayerUpload",
	"PutManifest": "ecr:PutImage", "DeleteManifest": "ecr:BatchDeleteImage",
}

func (f *front) registry(w http.ResponseWriter, r *http.Request, c *call) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if !f.mayEnter(w, r, c) {
		return
	}
	if c.op == "Ping" {
		if strings.TrimSuffix(r.URL.Path, "/") == "/v2" {
			writeJSON(w, http.StatusOK, map[string]any{})
		} else {
			plain(w, http.StatusNotFound, "404 page not found\n")
		}
		return
	}
	m := registryPath.FindStringSubmatch(r.URL.Path)
	id := repoID{c.account, c.region, m[1]}
	if action := registryActions[c.op]; !c.key.allows(action) {
		registryError(w, http.StatusForbidden, "DENIED", denied(c.key, action, id.arn()))
		return
	}
	facts, ok, err := f.moto.facts(id)
	switch {
	case err != nil:
		registryError(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	case !ok:
		registryError(w, http.StatusNotFound, "NAME_UNKNOWN", fmt.Sprintf("The repository with name '%s' does not exist in the registry with id '%s'", id.name, id.account))
		return
	}
	switch c.op {
	case "PutManifest":
		f.takeManifest(w, r, id, facts, m[3])
	case "GetManifest", "HeadManifest":
		f.giveManifest(w, r, id, m[3])
	case "GetTags":
		f.giveTags(w, r, id)
	case "GetBlob":
		f.redirectBlob(w, r, id, m[3])
	case "DeleteManifest", "DeleteBlob", "GetReferrers":
		registryError(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.")
	default:
		f.layers.forward(w, r, id)
	}
}

// mayEnter checks the password; ECR knows Basic only, and says no in plain text.
func (f *front) mayEnter(w http.ResponseWriter, r *http.Request, c *call) bool {
	challenge := fmt.Sprintf(`Basic realm="https://%s/",service="ecr.amazonaws.com"`, r.Host)
	user, password, given := r.BasicAuth()
	t, known := f.tokens.find(password)
	if !given || user != "AWS" || !known || t.region != c.region {
		w.Header().Set("Www-Authenticate", challenge)
		plain(w, http.StatusUnauthorized, "Not Authorized\n")
		return false
	}
	c.key = t.key
	if f.clock.now().After(t.expires) {
		plain(w, http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again.\n")
		return false
	}
	return true
}

// takeManifest: the bytes go to the distribution by digest, which checks that
// all they need is there; the tag is kept here.
func (f *front) takeManifest(w http.ResponseWriter, r *http.Request, id repoID, facts repoFacts, reference string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		return
	}
	i, err := readManifest(body, r.Header.Get("Content-Type"), f.clock.now())
	if err != nil || len(body) > maxManifest {
		registryError(w, http.StatusBadRequest, "MANIFEST_INVALID", fmt.Sprintf("the manifest is not valid: %v", err))
		return
	}
	tag := reference
	if strings.Contains(reference, ":") {
		tag = ""
		if reference != i.digest {
			registryError(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest's digest is "+i.digest)
			return
		}
	}
	tagIsImmutable := fmt.Sprintf("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", tag, id.name)
	if f.images.taken(id, facts, tag, i.digest) {
		registryError(w, http.StatusBadRequest, "TAG_INVALID", tagIsImmutable)
		return
	}
	answer, err := f.layers.putManifest(r.Context(), id, i)
	if err != nil {
		registryError(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	if answer.status != http.StatusCreated {
		answer.write(w)
		return
	}
	if f.images.put(id, facts, tag, i) == tagIsTaken {
		registryError(w, http.StatusBadRequest, "TAG_INVALID", tagIsImmutable)
		return
	}
	w.Header().Set("Location", "/v2/"+id.name+"/manifests/"+i.digest)
	w.Header().Set("Docker-Content-Digest", i.digest)
	w.WriteHeader(http.StatusCreated)
}

func (f *front) giveManifest(w http.ResponseWriter, r *http.Request, id repoID, reference string) {
	i, ok := f.images.get(id, reference)
	if !ok {
		registryError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "Requested image not found")
		return
	}
	form, ok := i.converted(r.Header.Values("Accept"))
	if !ok || strings.Contains(reference, ":") && form.digest != i.digest {
		registryError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "The image's media type is "+i.mediaType+", which the request does not accept")
		return
	}
	if r.Method == http.MethodGet {
		f.images.pulled(id, i.digest, f.clock.now())
	}
	w.Header().Set("Content-Type", form.mediaType)
	w.Header().Set("Docker-Content-Digest", form.digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(form.manifest)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		w.Write(form.manifest)
	}
}

func (f *front) giveTags(w http.ResponseWriter, r *http.Request, id repoID) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if r.URL.Query().Has("n") && (err != nil || n < 1 || n > 1000) {
		registryError(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n must be between 1 and 1000")
		return
	}
	if n == 0 {
		n = 1000
	}
	last := r.URL.Query().Get("last")
	f.images.mu.Lock()
	tags := []string{}
	for tag := range f.images.in(id).tags {
		if tag > last {
			tags = append(tags, tag)
		}
	}
	f.images.mu.Unlock()
	slices.Sort(tags)
	if len(tags) > n {
		tags = tags[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s&n=%d>; rel="next"`, id.name, url.QueryEscape(tags[n-1]), n))
	}
	writeJSON(w, http.StatusOK, map[string]any{"name": id.name, "tags": tags})
}
