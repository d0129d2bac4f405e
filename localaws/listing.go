package localaws

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type xmlError struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
}

type xmlLocation struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Location string   `xml:",chardata"`
}

type xmlListing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []xmlEntry
	CommonPrefixes        []xmlPrefix
}

type xmlEntry struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

type xmlPrefix struct{ Prefix string }

func writeXML(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header))
	return xml.NewEncoder(w).Encode(v)
}

// listObjects serves ListObjectsV2. A continuation token is the last name of the previous
// page.
func listObjects(w http.ResponseWriter, r *request, name string, b *bucket) error {
	query := r.URL.Query()
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	limit := 1000
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil && n >= 0 {
		limit = min(n, limit)
	}
	encode := func(text string) string { return text }
	if query.Get("encoding-type") == "url" {
		encode = func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "%2F", "/") }
	}
	out := xmlListing{Name: name, Prefix: encode(prefix), Delimiter: encode(delimiter), EncodingType: query.Get("encoding-type"), MaxKeys: limit}
	last := ""
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		entry, folder := key, false
		if rest, ok := strings.CutPrefix(key, prefix); !ok {
			continue
		} else if head, _, found := strings.Cut(rest, delimiter); found && delimiter != "" {
			entry, folder = prefix+head+delimiter, true
		}
		if entry <= after || folder && entry == last {
			continue
		}
		if out.KeyCount == limit {
			out.IsTruncated, out.NextContinuationToken = true, last
			break
		}
		out.KeyCount, last = out.KeyCount+1, entry
		if folder {
			out.CommonPrefixes = append(out.CommonPrefixes, xmlPrefix{encode(entry)})
			continue
		}
		o := b.objects[key]
		out.Contents = append(out.Contents, xmlEntry{
			Key: encode(key), ETag: o.etag, Size: len(o.content), StorageClass: "STANDARD",
			LastModified: o.modified.UTC().Format(time.RFC3339),
		})
	}
	return writeXML(w, http.StatusOK, out)
}
