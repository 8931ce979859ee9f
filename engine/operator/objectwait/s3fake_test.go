package objectwait_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gitdag/engine/operator/objectwait"
)

// s3 is a server that checks signatures as Amazon documents them, and answers with answer.
type s3 struct {
	secret string
	answer http.Handler
	seen   []string // "METHOD HOST REQUEST-URI REGION"
	last   *http.Request
}

func newS3(t *testing.T, answer http.Handler) (*s3, objectwait.Options) {
	t.Helper()
	s := &s3{secret: "SECRET", answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s, objectwait.Options{Transport: rerouted{to}}
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	region, err := s.verify(r)
	if err != nil {
		w.Header().Set("X-Amz-Wrong", err.Error())
		w.WriteHeader(http.StatusForbidden)
		region = err.Error()
	}
	s.seen = append(s.seen, r.Method+" "+r.Header.Get("X-Test-Scheme")+"://"+r.Host+r.RequestURI+" "+region)
	s.last = r
	if err == nil {
		s.answer.ServeHTTP(w, r)
	}
}

// verify checks a signature of version 4 and returns the region that it is for.
func (s *s3) verify(r *http.Request) (region string, err error) {
	fields := map[string]string{}
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	for part := range strings.SplitSeq(text, ", ") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" {
		return "", fmt.Errorf("no credential: %q", text)
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	canonical := []string{r.Method, path, query}
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical = append(canonical, name+":"+value)
	}
	canonical = append(canonical, "", fields["SignedHeaders"], r.Header.Get("X-Amz-Content-Sha256"))
	sum := sha256.Sum256([]byte(strings.Join(canonical, "\n")))
	toSign := strings.Join([]string{
		"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:]),
	}, "\n")
	key := []byte("AWS4" + s.secret)
	for _, part := range append(scope[1:], toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if got := hex.EncodeToString(key); got != fields["Signature"] {
		return "", fmt.Errorf("the signature is %s, not %s", fields["Signature"], got)
	}
	return scope[2], nil
}
