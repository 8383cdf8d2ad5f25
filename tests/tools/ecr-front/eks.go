package main

import (
	"net/http"
	"strings"
	"sync"
)

// cluster is a Kubernetes cluster of the test's that EKS shall know.
type cluster struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	CA       string `json:"ca"` // PEM, base64
	Status   string `json:"status"`
	Region   string `json:"region"`
}

type clusters struct {
	mu    sync.Mutex
	known map[string]cluster
}

func (s *clusters) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

func (s *clusters) put(c cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Status == "" {
		c.Status = "ACTIVE"
	}
	s.known[c.Name] = c
}

func eksOperation(method, path string) string {
	if name, ok := strings.CutPrefix(path, "/clusters/"); ok && method == http.MethodGet && !strings.Contains(name, "/") {
		return "DescribeCluster"
	}
	return method + " " + path
}

// eks answers DescribeCluster for clusters that are told by the control
// endpoint: moto's would have an endpoint where nobody listens.
func (f *front) eks(w http.ResponseWriter, r *http.Request, c *call) {
	key, refused := f.verify(r, c.body, "eks", c.region)
	c.key = key
	if refused != nil {
		c.refused(w, refused)
		return
	}
	if s, _ := readSigned(r); c.region == "" {
		c.region = s.region
	}
	name := strings.TrimPrefix(r.URL.Path, "/clusters/")
	arn := "arn:aws:eks:" + c.region + ":" + key.Account + ":cluster/" + name
	if !key.allows("eks:" + c.op) {
		c.fail(w, "AccessDeniedException", "%s", denied(key, "eks:"+c.op, arn))
		return
	}
	if c.op != "DescribeCluster" {
		c.failWith(w, http.StatusNotFound, "ResourceNotFoundException", "no such operation here: "+c.op)
		return
	}
	f.clusters.mu.Lock()
	found, ok := f.clusters.known[name]
	f.clusters.mu.Unlock()
	if !ok {
		c.failWith(w, http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: "+name+".")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"cluster": map[string]any{"name": name, "arn": arn,
		"status": found.Status, "endpoint": found.Endpoint, "version": "1.37",
		"certificateAuthority": map[string]string{"data": found.CA}}})
}
