package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// record is a request that was seen.
type record struct {
	N        int       `json:"n"`
	Time     time.Time `json:"time"`
	Service  string    `json:"service"`
	Op       string    `json:"op"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	Key      string    `json:"key,omitempty"` // the access key's id
	Status   int       `json:"status"`        // 0: the connection was cut
	Received int64     `json:"received"`
	Sent     int64     `json:"sent"`
	MS       int64     `json:"ms"`
	Fault    string    `json:"fault,omitempty"`
}

const maxRecords = 100_000

type requests struct {
	mu   sync.Mutex
	n    int
	list []record
}

func (s *requests) add(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	r.N = s.n
	if len(s.list) < maxRecords {
		s.list = append(s.list, r)
	}
}

func (s *requests) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.list = 0, nil
}

// control is the tests' own endpoint, described in tests/env/README.md.
func (f *front) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, "ok") })
	mux.HandleFunc("GET /requests", f.showRequests)
	mux.HandleFunc("DELETE /requests", func(w http.ResponseWriter, _ *http.Request) { f.requests.reset() })
	mux.HandleFunc("POST /faults", f.addFaults)
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) { f.faults.reset() })
	mux.HandleFunc("POST /keys", accept(func(k accessKey) { f.keys.put(k) }))
	mux.HandleFunc("POST /clusters", accept(f.clusters.put))
	mux.HandleFunc("POST /clock", accept(func(order struct {
		Offset int64 `json:"offset"` // seconds
	}) {
		f.clock.offset.Store(order.Offset)
	}))
	mux.HandleFunc("POST /tokens", accept(func(order struct {
		Seconds int `json:"seconds"` // how long the next ones live
	}) {
		f.tokens.mu.Lock()
		defer f.tokens.mu.Unlock()
		f.tokens.life = time.Duration(order.Seconds) * time.Second
	}))
	mux.HandleFunc("POST /reset", f.resetAll)
	mux.HandleFunc("GET /v2/", f.look)
	return mux
}

// accept hands on the JSON object of a request.
func accept[T any](use func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var order T
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&order); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		use(order)
	}
}

// addFaults takes one fault or a list of them.
func (f *front) addFaults(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	var list []*fault
	err := json.NewDecoder(r.Body).Decode(&raw)
	if err == nil && len(raw) > 0 && raw[0] == '{' {
		raw = append(append([]byte("["), raw...), ']')
	}
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&list)
	}
	for _, one := range list {
		if err == nil {
			err = one.compile()
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, one := range list {
		f.faults.add(one)
	}
}

// showRequests: one JSON object a line; service, op, method, host, path and key
// of the query are regular expressions that choose.
func (f *front) showRequests(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	patterns := map[string]*regexp.Regexp{}
	for name := range query {
		pattern, err := regexp.Compile(query.Get(name))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		patterns[name] = pattern
	}
	f.requests.mu.Lock()
	defer f.requests.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	for _, one := range f.requests.list {
		fits := true
		for name, text := range map[string]string{"service": one.Service, "op": one.Op, "method": one.Method,
			"host": one.Host, "path": one.Path, "key": one.Key} {
			fits = fits && (patterns[name] == nil || patterns[name].MatchString(text))
		}
		if fits {
			out.Encode(one)
		}
	}
}

// resetAll: as after a start.
func (f *front) resetAll(w http.ResponseWriter, _ *http.Request) {
	f.images.mu.Lock()
	for id := range f.images.repos {
		f.layers.drop(f.storage, id)
	}
	f.images.mu.Unlock()
	f.images.reset()
	f.faults.reset()
	f.keys.reset()
	f.tokens.reset()
	f.clusters.reset()
	f.clock.offset.Store(0)
	if err := f.moto.reset(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.requests.reset()
}

// look answers what is in a repository of the first account: no password, no
// fault, not in the log of requests. The distribution must have it too.
func (f *front) look(w http.ResponseWriter, r *http.Request) {
	id := repoID{account: "123456789012", region: "us-east-2"}
	if query := r.URL.Query(); query.Has("account") {
		id.account = query.Get("account")
	}
	if query := r.URL.Query(); query.Has("region") {
		id.region = query.Get("region")
	}
	m := registryPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	id.name = m[1]
	switch m[2] {
	case "tags":
		f.giveTags(w, r, id)
	case "manifests":
		if i, ok := f.images.get(id, m[3]); ok {
			answer, err := f.layers.manifest(r.Context(), http.MethodHead, id, i.digest, nil, "")
			if err != nil || answer.status != http.StatusOK {
				http.Error(w, "the distribution doesn't have "+i.digest, http.StatusBadGateway)
				return
			}
		}
		f.giveManifest(w, r, id, m[3])
	default:
		http.NotFound(w, r)
	}
}
