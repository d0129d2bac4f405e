package action

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// shape is what a text must look like, for the program and in words.
type shape struct {
	fits  func(string) bool
	words string
}

func pattern(expression, words string) shape {
	return shape{regexp.MustCompile(`^(?:` + expression + `)$`).MatchString, words}
}

func oneOf(choices ...string) shape {
	return shape{func(s string) bool { return slices.Contains(choices, s) }, strings.Join(choices, " or ")}
}

// Where AWS documents a pattern it is the one used, narrowed to what needs no quoting anywhere.
var (
	printable = shape{isPrintable, "text on one line without control characters"}

	region      = pattern(`[a-z]{2,8}(-[a-z]{2,12})+-\d{1,2}`, "a region, as in us-east-1")
	role        = pattern(`arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}`, "a role's ARN, as in arn:aws:iam::123456789012:role/deploy")
	sessionName = pattern(`[\w+=,.@-]{2,64}`, "2 to 64 letters, digits or any of _+=,.@-")
	externalID  = pattern(`[\w+=,.@:/-]{2,1224}`, "2 to 1224 letters, digits or any of _+=,.@:/-")
	audience    = pattern(`[\w.:/-]{1,255}`, "an OIDC audience, as in sts.amazonaws.com")
	accountID   = pattern(`\d{12}`, "account ids of 12 digits")

	registry    = pattern(`[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?`, "a registry's host, as in 123456789012.dkr.ecr.us-east-1.amazonaws.com")
	repository  = shape{isRepository, "an ECR repository's name of 2 to 256 characters, as in team/atta"}
	imageTag    = pattern(`\w[\w.-]{0,127}`, "image tags of at most 128 letters, digits or any of _.-")
	imageDigest = pattern(`sha256:[0-9a-f]{64}`, "sha256: and 64 hex digits, the output image-digest of the job that pushed it")

	bucket       = shape{isBucket, "an S3 bucket's name of 3 to 63 characters, as in atta-deploy-artifacts"}
	keyPrefix    = shape{isKeyPrefix, "folders of letters, digits or any of _.=-, as in bundles/dev/"}
	kmsKey       = pattern(`[\w:/-]{1,256}`, "a KMS key's id or ARN, or alias/<name>")
	bundleSHA256 = pattern(`[0-9a-f]{64}`, "64 hex digits, the output bundle-sha256 of the job that uploaded it")

	instanceID = pattern(`i-([0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17}`, "instance ids, as in i-0123456789abcdef0")
)

func isPrintable(s string) bool {
	return utf8.ValidString(s) && printableText.MatchString(s)
}

func isRepository(s string) bool {
	return len(s) >= 2 && len(s) <= 256 && repositoryName.MatchString(s)
}

// isBucket follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, but for reserved words.
func isBucket(s string) bool {
	_, err := netip.ParseAddr(s)
	return err != nil && len(s) >= 3 && len(s) <= 63 && bucketName.MatchString(s)
}

// isKeyPrefix leaves 512 of a key's 1,024 bytes to what follows the prefix.
func isKeyPrefix(s string) bool {
	segments := strings.Split(strings.TrimSuffix(s, "/"), "/")
	return len(s) <= 512 && !slices.ContainsFunc(segments, func(segment string) bool {
		return segment == "." || segment == ".." || !keySegment.MatchString(segment)
	})
}

var (
	printableText  = regexp.MustCompile(`^[^\pC\p{Zl}\p{Zp}]+$`)
	repositoryName = regexp.MustCompile(`^([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*$`)
	bucketName     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	keySegment     = regexp.MustCompile(`^[\w.=-]+$`)
)
