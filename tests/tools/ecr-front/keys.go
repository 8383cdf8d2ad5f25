package main

import (
	"path"
	"strings"
	"sync"
	"time"
)

// accessKey is one pair of credentials and what they may do.
type accessKey struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Token   string    `json:"token,omitempty"`
	Account string    `json:"account"`
	ARN     string    `json:"arn"`
	Deny    []string  `json:"deny,omitempty"` // actions, as "ecr:Put*"
	Expires time.Time `json:"expires,omitzero"`
}

// allows tells whether no denied pattern matches an action such as ecr:PutImage.
func (k *accessKey) allows(action string) bool {
	for _, pattern := range k.Deny {
		if hit, _ := path.Match(strings.ToLower(pattern), strings.ToLower(action)); hit {
			return false
		}
	}
	return true
}

// keyring holds the keys by their id.
type keyring struct {
	mu      sync.Mutex
	initial []accessKey
	known   map[string]accessKey
}

func (r *keyring) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = map[string]accessKey{}
	for _, k := range r.initial {
		r.known[k.ID] = k
	}
}

func (r *keyring) get(id string) (accessKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.known[id]
	return k, ok
}

func (r *keyring) put(k accessKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[k.ID] = k
}
