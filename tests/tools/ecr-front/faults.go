package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// fault is one order of a test: what to do with which requests. The patterns are
// regular expressions; an empty one fits everything.
type fault struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`
	Op     string `json:"op"`    // API: PutImage; data plane: PutManifest …
	Skip   int    `json:"skip"`  // requests that fit and still pass
	Times  int    `json:"times"` // how often; 0: always

	// Action: "status", "eof", "stall", "expired-token".
	Action  string            `json:"action"`
	Status  int               `json:"status"`
	Code    string            `json:"code"` // an AWS error of this name as the body
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
	Bytes   int64             `json:"bytes"` // eof: how much of the body is read before
	MS      int               `json:"ms"`    // stall: how long

	patterns [4]*regexp.Regexp
	hits     int
}

func (f *fault) compile() error {
	for i, text := range []string{f.Method, f.Host, f.Path, f.Op} {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return err
		}
		f.patterns[i] = pattern
	}
	switch f.Action {
	case "status":
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("status %d is no error", f.Status)
		}
	case "eof", "stall", "expired-token":
	default:
		return fmt.Errorf("no such action: %q", f.Action)
	}
	return nil
}

type faults struct {
	mu   sync.Mutex
	list []*fault
}

func (s *faults) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

func (s *faults) add(f *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, f)
}

// next is the first fault whose turn it is for this request.
func (s *faults) next(r *http.Request, op string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.list {
		fits := true
		for i, text := range []string{r.Method, r.Host, r.URL.Path, op} {
			fits = fits && f.patterns[i].MatchString(text)
		}
		if !fits {
			continue
		}
		f.hits++
		if f.hits > f.Skip && (f.Times == 0 || f.hits <= f.Skip+f.Times) {
			return f
		}
	}
	return nil
}

// strike does what the fault says; true when the request is answered by that.
func (f *fault) strike(w http.ResponseWriter, r *http.Request, c call) bool {
	switch f.Action {
	case "stall":
		select {
		case <-time.After(time.Duration(f.MS) * time.Millisecond):
			return false
		case <-r.Context().Done():
			return true
		}
	case "eof":
		io.CopyN(io.Discard, r.Body, f.Bytes)
		panic(http.ErrAbortHandler) // net/http cuts the connection
	case "expired-token":
		if c.service == "registry" {
			registryError(w, 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
		} else {
			c.fail(w, "ExpiredTokenException", "The security token included in the request is expired")
		}
		return true
	}
	for name, value := range f.Headers {
		w.Header().Set(name, value)
	}
	if f.Code != "" {
		c.failWith(w, f.Status, f.Code, f.Body)
		return true
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
	return true
}
