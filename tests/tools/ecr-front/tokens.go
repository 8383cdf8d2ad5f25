package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync"
	"time"
)

// token is a registry password that GetAuthorizationToken gave out.
type token struct {
	key     accessKey
	region  string
	expires time.Time
}

type tokens struct {
	mu    sync.Mutex
	life  time.Duration
	known map[string]token
}

func (t *tokens) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.life = 12 * time.Hour
	clear(t.known)
}

// issue makes a password; like ECR's they are long.
func (t *tokens) issue(key accessKey, region string, now time.Time) (password string, expires time.Time) {
	random := make([]byte, 1500)
	rand.Read(random)
	password = base64.StdEncoding.EncodeToString(random)
	t.mu.Lock()
	defer t.mu.Unlock()
	expires = now.Add(t.life)
	t.known[password] = token{key, region, expires}
	return password, expires
}

func (t *tokens) find(password string) (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[password]
	return found, ok
}

func (f *front) getAuthorizationToken(w http.ResponseWriter, _ *http.Request, c *call, request ecrRequest) {
	accounts := request.RegistryIDs
	if len(accounts) == 0 {
		accounts = []string{c.key.Account}
	}
	data := []map[string]any{}
	for _, account := range accounts {
		password, expires := f.tokens.issue(c.key, c.region, f.clock.now())
		data = append(data, map[string]any{
			"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
			"expiresAt":          epoch(expires),
			"proxyEndpoint":      "https://" + account + ".dkr.ecr." + c.region + ".amazonaws.com"})
	}
	writeAWS(w, map[string]any{"authorizationData": data})
}
