package objectwait

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"

	"gitdag/engine/params"
)

// emptySum is the SHA-256 of nothing, which is the body of all requests.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// defaultRegion is where a bucket is looked for when nobody says where it is. It also is
// what signatures for other servers than Amazon's name, which mostly do not care.
const defaultRegion = "us-east-1"

// headRequest asks for an object's headers.
type headRequest struct {
	target
	version   string
	endpoint  *url.URL // nil: Amazon's, of the region
	region    string   // empty: unknown
	pathStyle bool
	id        string
	secret    string
	header    http.Header
	client    *http.Client
}

// look returns what S3 says of the object, nil if it is not there. Where nobody says in
// which region the bucket is, Amazon does, and is asked there.
func (h *headRequest) look(ctx context.Context) (*params.Map, error) {
	region := h.signingRegion()
	response, err := h.send(ctx, region)
	if err != nil {
		return nil, err
	}
	told := response.Header.Get("X-Amz-Bucket-Region")
	astray := told != "" && told != region && response.StatusCode >= 300 && response.StatusCode != http.StatusNotFound
	if astray && h.region == "" && regionName.MatchString(told) {
		if response, err = h.send(ctx, told); err != nil {
			return nil, err
		}
		astray = false
	}
	hint := h.hint(response.StatusCode)
	if astray {
		hint = fmt.Sprintf("the bucket is in the region %q, and was asked for in %s", told, region)
	}
	found, err := judge(response, hint)
	if err != nil || !found {
		return nil, err
	}
	return describe(response.Header), nil
}

func (h *headRequest) hint(status int) string {
	switch {
	case status == http.StatusForbidden:
		return "the credentials are wrong or may not read the object; or it is not there, and they may not list the bucket"
	case status == http.StatusBadRequest && len(h.header) == 0:
		return "the region may be another, or the object needs the secret aws.s3.sse_c_key"
	case status == http.StatusMethodNotAllowed && h.version != "":
		return "this version is the mark of a removal"
	}
	return ""
}

// signingRegion is the region that signatures are for. An endpoint of Amazon's says it
// itself.
func (h *headRequest) signingRegion() string {
	if h.endpoint != nil {
		if named := s3utils.GetRegionFromURL(*h.endpoint); named != "" {
			return named
		}
	}
	if h.region != "" {
		return h.region
	}
	return defaultRegion
}

func (h *headRequest) send(ctx context.Context, region string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://placeholder.invalid", nil)
	if err != nil {
		return nil, fmt.Errorf("prepare a request: %w", err)
	}
	request.URL = h.address(region)
	request.Host = request.URL.Host
	maps.Copy(request.Header, h.header)
	request.Header.Set("User-Agent", "gitdag")
	request.Header.Set("X-Amz-Content-Sha256", emptySum)
	request = signer.SignV4(*request, h.id, h.secret, "", region)
	response, err := h.client.Do(request)
	if err != nil {
		return nil, unanswered(err)
	}
	return response, response.Body.Close() // of HEAD there is none
}

// address returns the object's address. The bucket is part of the host's name where it
// can be, for Amazon wants that.
func (h *headRequest) address(region string) *url.URL {
	u := url.URL{Scheme: "https", Host: "s3." + region + "." + domain(region)}
	if h.endpoint != nil {
		u.Scheme, u.Host, u.Path = h.endpoint.Scheme, h.endpoint.Host, strings.TrimSuffix(h.endpoint.Path, "/")
	}
	if h.pathStyle || !inHost(h.bucket, &u) {
		u.Path += "/" + h.bucket
	} else {
		u.Host = h.bucket + "." + u.Host
	}
	u.Path += "/" + h.object
	u.RawPath = s3utils.EncodePath(u.Path)
	if h.version != "" {
		u.RawQuery = url.Values{"versionId": {h.version}}.Encode()
	}
	return &u
}

func domain(region string) string {
	switch prefix, _, _ := strings.Cut(region, "-"); prefix {
	case "cn":
		return "amazonaws.com.cn"
	case "eusc":
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

var hostBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// inHost tells whether a bucket can be part of the name of a host. With a dot in it, it
// would not be covered by the host's certificate.
func inHost(bucket string, u *url.URL) bool {
	switch {
	case net.ParseIP(u.Hostname()) != nil, u.Hostname() == "localhost":
		return false
	case u.Scheme == "https" && strings.Contains(bucket, "."):
		return false
	}
	return hostBucket.MatchString(bucket) && !strings.Contains(bucket, "..") && !s3utils.IsValidIP(bucket)
}

// describe makes an object of the answer, with the names that S3 itself gives the headers.
// Those of the exchange, and not of the object, are left out.
func describe(header http.Header) *params.Map {
	const user = "x-amz-meta-"
	metadata, own := params.NewMap(len(header)), params.NewMap(0)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lower, value := strings.ToLower(name), strings.Join(header[name], ", ")
		switch {
		case strings.HasPrefix(lower, user):
			own.Set(strings.TrimPrefix(lower, user), value)
		case slices.Contains([]string{"connection", "date", "server", "x-amz-id-2", "x-amz-request-id"}, lower):
		case strings.HasPrefix(lower, "x-amz-"):
			metadata.Set(lower, value)
		case lower == "etag":
			metadata.Set("ETag", strings.Trim(value, `"`))
		default:
			metadata.Set(name, typed(lower, value))
		}
	}
	return params.Of("metadata", metadata, "user_metadata", own)
}

// typed gives a header the type that it has in Digdag: the length is a number, the time of
// the last change one of milliseconds.
func typed(name, value string) any {
	switch name {
	case "content-length":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return number(n)
		}
	case "last-modified":
		if at, err := http.ParseTime(value); err == nil {
			return number(at.UnixMilli())
		}
	}
	return value
}
