package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ecrRequest is the union of the fields that the operations below read.
type ecrRequest struct {
	RegistryID      string    `json:"registryId"`
	RegistryIDs     []string  `json:"registryIds"`
	RepositoryName  string    `json:"repositoryName"`
	RepositoryNames []string  `json:"repositoryNames"`
	ImageIDs        []imageID `json:"imageIds"`
	ImageID         imageID   `json:"imageId"`
	Filter          struct {
		TagStatus string `json:"tagStatus"`
	} `json:"filter"`
	MaxResults         int      `json:"maxResults"`
	NextToken          string   `json:"nextToken"`
	AcceptedMediaTypes []string `json:"acceptedMediaTypes"`
	Manifest           string   `json:"imageManifest"`
	MediaType          string   `json:"imageManifestMediaType"`
	Tag                string   `json:"imageTag"`
	Digest             string   `json:"imageDigest"`
	Force              bool     `json:"force"`
	LifecyclePolicy    string   `json:"lifecyclePolicyText"`
}

// ecrOperations are those that don't simply go to moto; the rest of its list does.
var ecrOperations = map[string]func(*front, http.ResponseWriter, *http.Request, *call, ecrRequest){
	"GetAuthorizationToken":     (*front).getAuthorizationToken,
	"DescribeRepositories":      (*front).describeRepositories,
	"DeleteRepository":          (*front).deleteRepository,
	"PutLifecyclePolicy":        (*front).putLifecyclePolicy,
	"PutImage":                  (*front).putImage,
	"DescribeImages":            (*front).describeImages,
	"ListImages":                (*front).listImages,
	"BatchGetImage":             (*front).batchGetImage,
	"BatchDeleteImage":          (*front).batchDeleteImage,
	"StartImageScan":            (*front).startImageScan,
	"DescribeImageScanFindings": (*front).describeImageScanFindings,
}

var motoOperations = map[string]bool{
	"CreateRepository": true, "GetLifecyclePolicy": true, "DeleteLifecyclePolicy": true,
	"PutImageTagMutability": true, "PutImageScanningConfiguration": true,
	"SetRepositoryPolicy": true, "GetRepositoryPolicy": true, "DeleteRepositoryPolicy": true,
	"TagResource": true, "UntagResource": true, "ListTagsForResource": true,
	"DescribeRegistry": true,
}

func (f *front) ecr(w http.ResponseWriter, r *http.Request, c *call) {
	key, refused := f.verify(r, c.body, "ecr", c.region)
	c.key = key
	if refused != nil {
		c.refused(w, refused)
		return
	}
	if s, _ := readSigned(r); c.region == "" {
		c.region = s.region
	}
	var request ecrRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		c.fail(w, "SerializationException", "%v", err)
		return
	}
	if request.RegistryID == "" {
		request.RegistryID = key.Account
	}
	resource := "*"
	if request.RepositoryName != "" {
		resource = c.repo(request).arn()
	}
	if !c.may(w, "ecr:"+c.op, resource) {
		return
	}
	if operation := ecrOperations[c.op]; operation != nil {
		operation(f, w, r, c, request)
	} else if motoOperations[c.op] {
		f.forward(w, r, c, request)
	} else {
		c.fail(w, "UnknownOperationException", "")
	}
}

func (c *call) repo(request ecrRequest) repoID {
	return repoID{request.RegistryID, c.region, request.RepositoryName}
}

// forward lets moto answer; whatever it was, what we know of moto may be old.
func (f *front) forward(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	answer, err := f.moto.send(r, request.RegistryID, "ecr", c.region, c.body)
	if err != nil {
		c.failWith(w, http.StatusInternalServerError, "ServerException", err.Error())
		return
	}
	f.moto.forget()
	answer.write(w)
}

// known is the repository when it exists; else the request has been answered.
func (f *front) known(w http.ResponseWriter, c *call, request ecrRequest) (repoID, repoFacts, bool) {
	id := c.repo(request)
	facts, ok, err := f.moto.facts(id)
	if err != nil {
		c.failWith(w, http.StatusInternalServerError, "ServerException", err.Error())
	} else if !ok {
		c.fail(w, "RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry with id '%s'", id.name, id.account)
	}
	return id, facts, ok && err == nil
}

// page cuts a list as maxResults and nextToken say; the token is an offset.
func page[T any](list []T, request ecrRequest) (part []T, next string) {
	from, _ := strconv.Atoi(strings.TrimPrefix(request.NextToken, "from-"))
	from = min(max(from, 0), len(list))
	size := request.MaxResults
	if size <= 0 {
		size = 100
	}
	to := min(from+size, len(list))
	if to < len(list) {
		next = fmt.Sprintf("from-%d", to)
	}
	return list[from:to], next
}

// describeRepositories: moto gives all at once.
func (f *front) describeRepositories(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	answer, err := f.moto.send(r, request.RegistryID, "ecr", c.region, c.body)
	if err != nil {
		c.failWith(w, http.StatusInternalServerError, "ServerException", err.Error())
		return
	}
	var all struct {
		Repositories []json.RawMessage `json:"repositories"`
	}
	if answer.status != http.StatusOK || json.Unmarshal(answer.body, &all) != nil {
		answer.write(w)
		return
	}
	part, next := page(all.Repositories, request)
	writeAWS(w, map[string]any{"repositories": part, "nextToken": optional(next)})
}

func (f *front) deleteRepository(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	id, _, ok := f.known(w, c, request)
	if !ok {
		return
	}
	f.images.mu.Lock()
	full := len(f.images.in(id).images) > 0
	f.images.mu.Unlock()
	if full && !request.Force {
		c.fail(w, "RepositoryNotEmptyException", "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", id.name, id.account)
		return
	}
	f.images.mu.Lock()
	delete(f.images.repos, id)
	f.images.mu.Unlock()
	f.layers.drop(f.storage, id)
	f.forward(w, r, c, request)
}

// putLifecyclePolicy checks the rules among each other, which moto doesn't.
func (f *front) putLifecyclePolicy(w http.ResponseWriter, r *http.Request, c *call, request ecrRequest) {
	if fault := lifecycleFault(request.LifecyclePolicy); fault != "" {
		c.fail(w, "InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure:\n%s\n'", fault)
		return
	}
	f.forward(w, r, c, request)
}

// lifecycleFault: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
func lifecycleFault(text string) string {
	var policy struct {
		Rules []struct {
			Priority  int `json:"rulePriority"`
			Selection struct {
				TagStatus string   `json:"tagStatus"`
				Prefixes  []string `json:"tagPrefixList"`
				Patterns  []string `json:"tagPatternList"`
			} `json:"selection"`
		} `json:"rules"`
	}
	if json.Unmarshal([]byte(text), &policy) != nil {
		return "" // moto says what is wrong with it
	}
	if n := len(text); n < 100 || n > 30720 {
		return fmt.Sprintf("the policy has %d characters, 100 to 30720 are allowed", n)
	}
	seen, highest, any := map[int]bool{}, 0, 0
	for _, rule := range policy.Rules {
		s := rule.Selection
		if seen[rule.Priority] {
			return fmt.Sprintf("rulePriority %d is not unique", rule.Priority)
		}
		seen[rule.Priority] = true
		highest = max(highest, rule.Priority)
		lists := len(s.Prefixes) + len(s.Patterns)
		switch {
		case s.TagStatus == "any":
			any = rule.Priority
		case s.TagStatus == "tagged" && lists == 0:
			return "tagPrefixList or tagPatternList is required when tagStatus is tagged"
		case s.TagStatus == "untagged" && lists > 0:
			return "tagPrefixList and tagPatternList are only for tagStatus tagged"
		}
	}
	if any != 0 && any != highest {
		return "the rule with tagStatus any must have the highest rulePriority"
	}
	return ""
}
