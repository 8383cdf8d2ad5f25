package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const maxBody = 16 << 20 // of an API request; layers are streamed

// call is a request as the services see it.
type call struct {
	service string // ecr, sts, eks, registry, layers; empty: nobody knows
	region  string // of the host; empty when it names none
	account string // of a registry's host
	op      string
	key     accessKey
	body    []byte
}

var hosts = []struct {
	service string
	pattern *regexp.Regexp // account, region
}{
	{"registry", regexp.MustCompile(`^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com$`)},
	{"registry", regexp.MustCompile(`^(\d{12})\.dkr-ecr(?:-fips)?\.([a-z0-9-]+)\.on\.aws$`)},
	{"layers", regexp.MustCompile(`^()prod-([a-z0-9-]+)-starport-layer-bucket\.s3\..*$`)},
	{"ecr", regexp.MustCompile(`^()api\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com$`)},
	{"ecr", regexp.MustCompile(`^()ecr(?:-fips)?\.([a-z0-9-]+)\.api\.aws$`)},
	{"sts", regexp.MustCompile(`^()sts(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)$`)},
	{"sts", regexp.MustCompile(`^()()sts\.amazonaws\.com$`)},
	{"eks", regexp.MustCompile(`^()(?:fips\.)?eks\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)$`)},
}

// classify says whose request it is: by the host, and where that is an endpoint
// of the test's own, by the service that the signature is for.
func classify(r *http.Request) call {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, h := range hosts {
		if m := h.pattern.FindStringSubmatch(host); m != nil {
			return call{service: h.service, account: m[1], region: m[2]}
		}
	}
	if s, refused := readSigned(r); refused == nil {
		return call{service: s.service}
	}
	if r.Method == http.MethodPost && r.Header.Get("X-Amz-Target") == "" {
		return call{service: "sts"} // AssumeRoleWithWebIdentity is not signed
	}
	return call{}
}

// readAPI takes the body and names the operation.
func (c *call) readAPI(r *http.Request) error {
	var err error
	if c.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody)); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	switch c.service {
	case "ecr":
		_, c.op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	case "sts":
		form, _ := url.ParseQuery(string(c.body))
		if c.op = form.Get("Action"); c.op == "" {
			c.op = r.URL.Query().Get("Action")
		}
	case "eks":
		c.op = eksOperation(r.Method, r.URL.Path)
	}
	return nil
}

// observed is the way of every request: named, written down, perhaps struck by a
// fault, else answered.
func (f *front) observed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := classify(r)
		seen := &record{Time: time.Now(), Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery}
		counted := &counter{Reader: r.Body}
		r.Body = struct {
			io.Reader
			io.Closer
		}{counted, r.Body}
		answer := &answer{ResponseWriter: w}
		defer func() {
			seen.Service, seen.Op, seen.Key = c.service, c.op, c.key.ID
			seen.Status, seen.Sent, seen.Received = answer.status, answer.bytes, counted.bytes
			seen.MS = time.Since(seen.Time).Milliseconds()
			f.requests.add(*seen)
		}()
		w.Header().Set("Date", f.clock.now().Format(http.TimeFormat))
		switch c.service {
		case "registry":
			c.op = registryOperation(r.Method, r.URL.Path)
		case "layers":
			c.op = "GetLayer"
		default:
			w.Header().Set("X-Amzn-Requestid", newID())
			if err := c.readAPI(r); err != nil {
				return
			}
		}
		if order := f.faults.next(r, c.op); order != nil {
			seen.Fault = order.Action
			if order.strike(answer, r, c) {
				return
			}
		}
		f.answer(answer, r, &c)
	})
}

func (f *front) answer(w http.ResponseWriter, r *http.Request, c *call) {
	switch c.service {
	case "registry":
		f.registry(w, r, c)
	case "layers":
		f.layer(w, r)
	case "ecr":
		f.ecr(w, r, c)
	case "sts":
		f.sts(w, r, c)
	case "eks":
		f.eks(w, r, c)
	default:
		http.Error(w, "no service of this AWS has the name "+r.Host, http.StatusNotFound)
	}
}

// fail answers with an error of the service's protocol.
func (c *call) fail(w http.ResponseWriter, code, format string, args ...any) {
	status := http.StatusBadRequest
	if c.service != "ecr" {
		status = http.StatusForbidden
		if code == "ValidationError" || code == "InvalidParameterException" {
			status = http.StatusBadRequest
		}
	}
	c.failWith(w, status, code, fmt.Sprintf(format, args...))
}

// What the query protocol calls the errors that the others know by another name.
var queryCodes = map[string]string{
	"UnrecognizedClientException":         "InvalidClientTokenId",
	"InvalidSignatureException":           "SignatureDoesNotMatch",
	"ExpiredTokenException":               "ExpiredToken",
	"IncompleteSignatureException":        "IncompleteSignature",
	"MissingAuthenticationTokenException": "MissingAuthenticationToken",
	"AccessDeniedException":               "AccessDenied",
	"ThrottlingException":                 "Throttling",
}

func (c *call) failWith(w http.ResponseWriter, status int, code, message string) {
	switch c.service {
	case "sts":
		if name, ok := queryCodes[code]; ok {
			code = name
		}
		writeXML(w, status, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>"+
			escapeXML(code)+"</Code><Message>"+escapeXML(message)+"</Message></Error><RequestId>"+
			w.Header().Get("X-Amzn-Requestid")+"</RequestId></ErrorResponse>")
	case "registry":
		registryError(w, status, code, message)
	case "eks":
		w.Header().Set("X-Amzn-Errortype", code)
		writeJSON(w, status, map[string]string{"message": message})
	default:
		w.Header().Set("X-Amzn-Errortype", code)
		writeJSON(w, status, map[string]string{"__type": code, "message": message})
	}
}

// refused answers with a refusal of verify.
func (c *call) refused(w http.ResponseWriter, e *authError) {
	c.fail(w, e.code, "%s", e.message)
}

// may tells whether the key may do the action; else it has been answered.
func (c *call) may(w http.ResponseWriter, action, resource string) bool {
	if c.key.allows(action) {
		return true
	}
	c.fail(w, "AccessDeniedException", "%s", denied(c.key, action, resource))
	return false
}

func denied(key accessKey, action, resource string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
		key.ARN, action, resource, action)
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// counter and answer count what goes through.
type counter struct {
	io.Reader
	bytes int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += int64(n)
	return n, err
}

type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
