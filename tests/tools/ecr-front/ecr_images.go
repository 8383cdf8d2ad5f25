package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The operations on images: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/

type imageID struct {
	Digest string `json:"imageDigest,omitempty"`
	Tag    string `json:"imageTag,omitempty"`
}

type failure struct {
	ID     imageID `json:"imageId"`
	Code   string  `json:"failureCode"`
	Reason string  `json:"failureReason"`
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// find is the image that an id names; both its parts must fit when both are there.
func (r *repository) find(id imageID) *image {
	digest := id.Digest
	if id.Tag != "" {
		tagged, ok := r.tags[id.Tag]
		if !ok || digest != "" && digest != tagged {
			return nil
		}
		digest = tagged
	}
	return r.images[digest]
}

func (f *front) putImage(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	id, facts, ok := f.known(w, c, request)
	if !ok {
		return
	}
	i, err := readManifest([]byte(request.Manifest), request.MediaType, f.clock.now())
	if err != nil {
		c.fail(w, "InvalidParameterException", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: '%v'", err)
		return
	}
	if request.Digest != "" && request.Digest != i.digest {
		c.fail(w, "ImageDigestDoesNotMatchException", "The specified image digest '%s' does not match the digest '%s' that Amazon ECR calculated for the image", request.Digest, i.digest)
		return
	}
	if f.images.taken(id, facts, request.Tag, i.digest) {
		c.fail(w, "ImageTagAlreadyExistsException", "The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", request.Tag, id.name)
		return
	}
	if answer, err := f.layers.putManifest(r.Context(), id, i); err != nil {
		c.failWith(w, http.StatusInternalServerError, "ServerException", err.Error())
		return
	} else if answer.status != http.StatusCreated {
		code := "LayersNotFoundException"
		if len(i.children) > 0 {
			code = "ReferencedImagesNotFoundException"
		}
		c.fail(w, code, "%s", answer.body)
		return
	}
	switch f.images.put(id, facts, request.Tag, i) {
	case unchanged:
		c.fail(w, "ImageAlreadyExistsException", "Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", i.digest, request.Tag, id.name, id.account)
	case tagIsTaken:
		c.fail(w, "ImageTagAlreadyExistsException", "The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", request.Tag, id.name)
	default:
		writeAWS(w, map[string]any{"image": wholeImage(id, i, request.Tag)})
	}
}

func wholeImage(id repoID, i image, tag string) map[string]any {
	return map[string]any{"registryId": id.account, "repositoryName": id.name,
		"imageId": imageID{i.digest, tag}, "imageManifest": string(i.manifest), "imageManifestMediaType": i.mediaType}
}

// fits tells whether an image is wanted by a list's filter.
func (request ecrRequest) fits(tags []string) bool {
	switch request.Filter.TagStatus {
	case "TAGGED":
		return len(tags) > 0
	case "UNTAGGED":
		return len(tags) == 0
	}
	return true
}

func (f *front) describeImages(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	id, _, ok := f.known(w, c, request)
	if !ok {
		return
	}
	f.images.mu.Lock()
	defer f.images.mu.Unlock()
	repo := f.images.in(id)
	wanted := repo.order
	if len(request.ImageIDs) > 0 {
		wanted = nil
		for _, one := range request.ImageIDs {
			i := repo.find(one)
			if i == nil {
				c.fail(w, "ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
					orNull(one.Digest), orNull(one.Tag), id.name, id.account)
				return
			}
			if !slices.Contains(wanted, i.digest) {
				wanted = append(wanted, i.digest)
			}
		}
	}
	details := []map[string]any{}
	for _, digest := range wanted {
		i, tags := repo.images[digest], repo.tagsOf(digest)
		if !request.fits(tags) {
			continue
		}
		detail := map[string]any{"registryId": id.account, "repositoryName": id.name, "imageDigest": digest,
			"imageSizeInBytes": i.size, "imagePushedAt": epoch(i.pushedAt), "imageManifestMediaType": i.mediaType}
		if len(tags) > 0 {
			detail["imageTags"] = tags
		}
		if !i.pulledAt.IsZero() {
			detail["lastRecordedPullTime"] = epoch(i.pulledAt)
		}
		details = append(details, detail)
	}
	part, next := page(details, request)
	writeAWS(w, map[string]any{"imageDetails": part, "nextToken": optional(next)})
}

func orNull(text string) string {
	if text == "" {
		return "null"
	}
	return text
}

func (f *front) listImages(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	id, _, ok := f.known(w, c, request)
	if !ok {
		return
	}
	f.images.mu.Lock()
	defer f.images.mu.Unlock()
	repo := f.images.in(id)
	ids := []imageID{}
	for _, digest := range repo.order {
		tags := repo.tagsOf(digest)
		if !request.fits(tags) {
			continue
		}
		if len(tags) == 0 {
			ids = append(ids, imageID{Digest: digest})
		}
		for _, tag := range tags {
			ids = append(ids, imageID{digest, tag})
		}
	}
	part, next := page(ids, request)
	writeAWS(w, map[string]any{"imageIds": part, "nextToken": optional(next)})
}

// badID says what is wrong with an id before anything is looked up.
func badID(one imageID) *failure {
	if one.Digest == "" && one.Tag == "" {
		return &failure{one, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"}
	}
	if one.Digest != "" && !digestPattern.MatchString(one.Digest) {
		return &failure{one, "InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"}
	}
	return nil
}

// someIDs checks the number of ids that a batch operation takes.
func (c *call) someIDs(w http.ResponseWriter, request ecrRequest) bool {
	if n := len(request.ImageIDs); n < 1 || n > 100 {
		c.fail(w, "InvalidParameterException", "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length between 1 and 100', it has %d", n)
		return false
	}
	return true
}

func (f *front) batchGetImage(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	id, _, ok := f.known(w, c, request)
	if !ok || !c.someIDs(w, request) {
		return
	}
	f.images.mu.Lock()
	defer f.images.mu.Unlock()
	repo := f.images.in(id)
	found, failures := []map[string]any{}, []failure{}
	for _, one := range request.ImageIDs {
		if bad := badID(one); bad != nil {
			failures = append(failures, *bad)
			continue
		}
		i := repo.find(one)
		if i == nil {
			failures = append(failures, failure{one, "ImageNotFound", "Requested image not found"})
			continue
		}
		// Asked for by tag, an image is rewritten into a type that is accepted.
		form, ok := i.converted(acceptHeader(request.AcceptedMediaTypes))
		if !ok || one.Tag == "" && form.digest != i.digest {
			failures = append(failures, failure{one, "UnsupportedImageType", "The image's media type is " + i.mediaType})
			continue
		}
		found = append(found, wholeImage(id, form, one.Tag))
	}
	writeAWS(w, map[string]any{"images": found, "failures": failures})
}

func acceptHeader(types []string) []string {
	if len(types) == 0 {
		return nil
	}
	return []string{strings.Join(types, ",")}
}

// batchDeleteImage: a tag is taken off, and the last one takes the image along.
func (f *front) batchDeleteImage(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	id, _, ok := f.known(w, c, request)
	if !ok || !c.someIDs(w, request) {
		return
	}
	f.images.mu.Lock()
	defer f.images.mu.Unlock()
	repo := f.images.in(id)
	deleted, failures := []imageID{}, []failure{}
	for _, one := range request.ImageIDs {
		if bad := badID(one); bad != nil {
			failures = append(failures, *bad)
			continue
		}
		i := repo.find(one)
		if i == nil {
			failures = append(failures, failure{one, "ImageNotFound", "Requested image not found"})
			continue
		}
		tags := repo.tagsOf(i.digest)
		if one.Tag != "" && len(tags) > 1 {
			delete(repo.tags, one.Tag)
			deleted = append(deleted, imageID{i.digest, one.Tag})
			continue
		}
		if parent := repo.parentOf(i.digest); parent != "" {
			failures = append(failures, failure{imageID{Digest: i.digest}, "ImageReferencedByManifestList",
				"Requested image referenced by manifest list: [" + parent + "]"})
			continue
		}
		if err := f.layers.deleteManifest(r.Context(), id, i.digest); err != nil {
			c.failWith(w, http.StatusInternalServerError, "ServerException", err.Error())
			return
		}
		repo.remove(i.digest)
		for _, tag := range tags {
			deleted = append(deleted, imageID{i.digest, tag})
		}
		if len(tags) == 0 {
			deleted = append(deleted, imageID{Digest: i.digest})
		}
	}
	writeAWS(w, map[string]any{"imageIds": deleted, "failures": failures})
}

// --- scans: they are done at once and find nothing ---------------------------------

func (f *front) scanned(w http.ResponseWriter, c *call, request ecrRequest, start bool) {
	id, facts, ok := f.known(w, c, request)
	if !ok {
		return
	}
	f.images.mu.Lock()
	defer f.images.mu.Unlock()
	i := f.images.in(id).find(request.ImageID)
	if i == nil {
		c.fail(w, "ImageNotFoundException", "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
			orNull(request.ImageID.Digest), orNull(request.ImageID.Tag), id.name, id.account)
		return
	}
	if start {
		i.scanned = true
	}
	if !i.scanned && !facts.Scanning.OnPush {
		c.fail(w, "ScanNotFoundException", "Image scan does not exist for the image with '{imageDigest:'%s', imageTag:'%s'}' in the repository with name '%s' in the registry with id '%s'",
			i.digest, orNull(request.ImageID.Tag), id.name, id.account)
		return
	}
	reply := map[string]any{"registryId": id.account, "repositoryName": id.name,
		"imageId": imageID{i.digest, request.ImageID.Tag}}
	if start {
		reply["imageScanStatus"] = map[string]string{"status": "IN_PROGRESS"}
	} else {
		reply["imageScanStatus"] = map[string]string{"status": "COMPLETE", "description": "The scan was completed successfully."}
		reply["imageScanFindings"] = map[string]any{"findings": []any{}, "findingSeverityCounts": map[string]int{},
			"imageScanCompletedAt": epoch(i.pushedAt.Add(time.Second))}
	}
	writeAWS(w, reply)
}

func (f *front) startImageScan(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	f.scanned(w, c, request, true)
}

func (f *front) describeImageScanFindings(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	f.scanned(w, c, request, false)
}
