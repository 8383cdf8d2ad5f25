package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4, the verifying side:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

const (
	algorithm = "AWS4-HMAC-SHA256"
	amzTime   = "20060102T150405Z"
	maxSkew   = 5 * time.Minute
)

// signed is what a request says about its signature, from header or query.
type signed struct {
	keyID, date, region, service string // the credential's scope
	time                         string // X-Amz-Date
	headers                      []string
	signature                    string
	token                        string
	life                         time.Duration // of a presigned request, else 0
}

// authError is a refusal; code is an ECR error code, other protocols map it.
type authError struct{ code, message string }

func refuse(code, format string, args ...any) *authError {
	return &authError{code, fmt.Sprintf(format, args...)}
}

// readSigned takes the signature's parts out of the request.
func readSigned(r *http.Request) (signed, *authError) {
	query := r.URL.Query()
	if query.Get("X-Amz-Algorithm") == algorithm {
		seconds, _ := strconv.Atoi(query.Get("X-Amz-Expires"))
		s := signed{time: query.Get("X-Amz-Date"), signature: query.Get("X-Amz-Signature"),
			token: query.Get("X-Amz-Security-Token"), life: time.Duration(seconds) * time.Second,
			headers: strings.Split(query.Get("X-Amz-SignedHeaders"), ";")}
		if seconds < 1 || seconds > 604800 {
			return s, refuse("InvalidSignatureException", "X-Amz-Expires must be between 1 and 604800 seconds")
		}
		return s, s.scope(query.Get("X-Amz-Credential"))
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return signed{}, refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return signed{}, refuse("IncompleteSignatureException", "Unsupported AWS 'algorithm'")
	}
	s := signed{time: r.Header.Get("X-Amz-Date"), token: r.Header.Get("X-Amz-Security-Token")}
	var credential string
	for _, field := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.signature = value
		}
	}
	if s.signature == "" || len(s.headers) == 0 {
		return s, refuse("IncompleteSignatureException", "Authorization header requires 'Signature' and 'SignedHeaders' parameters.")
	}
	return s, s.scope(credential)
}

func (s *signed) scope(credential string) *authError {
	part := strings.Split(credential, "/")
	if len(part) < 5 || part[len(part)-1] != "aws4_request" {
		return refuse("IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential)
	}
	n := len(part)
	s.keyID = strings.Join(part[:n-4], "/")
	s.date, s.region, s.service = part[n-4], part[n-3], part[n-2]
	return nil
}

// verify checks the request against the keys and returns the key that signed it.
// The body has been read already.
func (f *front) verify(r *http.Request, body []byte, service, region string) (accessKey, *authError) {
	s, refused := readSigned(r)
	if refused != nil {
		return accessKey{}, refused
	}
	if s.service != service {
		return accessKey{}, refuse("InvalidSignatureException", "Credential should be scoped to correct service: '%s'.", service)
	}
	if region != "" && s.region != region {
		return accessKey{}, refuse("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	key, ok := f.keys.get(s.keyID)
	if !ok || key.Token != s.token {
		return key, refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if refused := f.inTime(s); refused != nil {
		return key, refused
	}
	canonical, refused := s.canonical(r, body)
	if refused != nil {
		return key, refused
	}
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{algorithm, s.time, scope, hex.EncodeToString(sum[:])}, "\n")
	mac := []byte("AWS4" + key.Secret)
	for _, word := range []string{s.date, s.region, s.service, "aws4_request", toSign} {
		mac = sign(mac, word)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(mac)), []byte(s.signature)) {
		return key, refuse("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'%s'", canonical)
	}
	if !key.Expires.IsZero() && f.clock.now().After(key.Expires) {
		return key, refuse("ExpiredTokenException", "The security token included in the request is expired")
	}
	return key, nil
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// inTime: five minutes of skew, or the life that a presigned request names.
func (f *front) inTime(s signed) *authError {
	at, err := time.Parse(amzTime, s.time)
	if err != nil || at.Format("20060102") != s.date {
		return refuse("IncompleteSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'", s.date, s.time)
	}
	now := f.clock.now()
	life := max(maxSkew, s.life)
	if now.Sub(at) > life {
		return refuse("InvalidSignatureException", "Signature expired: %s is now earlier than %s (%s - %.0f min.)",
			s.time, now.Add(-life).Format(amzTime), now.Format(amzTime), life.Minutes())
	}
	if at.Sub(now) > maxSkew {
		return refuse("InvalidSignatureException", "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			s.time, now.Add(maxSkew).Format(amzTime), now.Format(amzTime))
	}
	return nil
}

// canonical is the canonical request; what must be signed and isn't, is refused.
func (s *signed) canonical(r *http.Request, body []byte) (string, *authError) {
	if !slices.Contains(s.headers, "host") {
		return "", refuse("InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) {
			return "", refuse("InvalidSignatureException", "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	if !slices.IsSorted(s.headers) {
		return "", refuse("IncompleteSignatureException", "The signed headers are not sorted")
	}
	var headers strings.Builder
	for _, name := range s.headers {
		values := r.Header.Values(name)
		if name == "host" {
			values = []string{r.Host}
		} else if name == "content-length" {
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		headers.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" && given != payload {
		return "", refuse("InvalidSignatureException", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	return strings.Join([]string{r.Method, escape(path, true), canonicalQuery(query), headers.String(),
		strings.Join(s.headers, ";"), payload}, "\n"), nil
}

// canonicalQuery sorts by name, then value, leaving the signature out.
func canonicalQuery(query string) string {
	type pair struct{ name, value string }
	var pairs []pair
	for _, field := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(field, "=")
		name, _ = url.PathUnescape(name) // a plus is a plus here
		value, _ = url.PathUnescape(value)
		if field != "" && name != "X-Amz-Signature" {
			pairs = append(pairs, pair{escape(name, false), escape(value, false)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	words := make([]string, len(pairs))
	for i, p := range pairs {
		words[i] = p.name + "=" + p.value
	}
	return strings.Join(words, "&")
}

// escape encodes all but the unreserved characters of RFC 3986. A path on the
// wire is encoded already, so its percent signs are encoded once more, as every
// service but S3 wants it.
func escape(text string, keepSlash bool) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9',
			strings.IndexByte("-_.~", c) >= 0, c == '/' && keepSlash:
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
