package inputs

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/atta-deploy-action/deploy"
)

// format is the required form of a text: a check, and its description for error messages.
type format struct {
	matches     func(string) bool
	description string
}

// newFormat matches texts of minLength to maxLength bytes.
func newFormat(minLength, maxLength int, expression, description string) format {
	whole := regexp.MustCompile(`^(?:` + expression + `)$`)
	matches := func(s string) bool { return len(s) >= minLength && len(s) <= maxLength && whole.MatchString(s) }
	return format{matches, description}
}

func oneOf(choices ...string) format {
	return format{func(s string) bool { return slices.Contains(choices, s) }, strings.Join(choices, " or ")}
}

// excludeWhere returns the format without the texts for which excluded is true.
func (f format) excludeWhere(excluded func(string) bool) format {
	return format{func(text string) bool { return f.matches(text) && !excluded(text) }, f.description}
}

// These are the patterns that AWS documents, where it does, narrowed to characters that never need quoting.
var (
	region      = format{func(s string) bool { return deploy.MatchesForm("region", s) }, "a region, as in us-east-1"}
	role        = newFormat(20, 2048, `arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+`, "a role's ARN, as in arn:aws:iam::123456789012:role/deploy")
	sessionName = newFormat(2, 64, `[\w+=,.@-]+`, "2 to 64 letters, digits or any of _+=,.@-")
	externalID  = newFormat(2, 1224, `[\w+=,.@:/-]+`, "2 to 1224 letters, digits or any of _+=,.@:/-")
	audience    = newFormat(1, 255, `[\w.:/-]+`, "an OIDC audience, as in sts.amazonaws.com")
	accountID   = newFormat(12, 12, `\d+`, "account ids of 12 digits")
	ownerID     = newFormat(12, 12, `\d+`, "the id of the bucket's account, 12 digits")

	registry    = newFormat(1, 255, `[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?`, "a registry's host, as in 123456789012.dkr.ecr.us-east-1.amazonaws.com")
	repository  = newFormat(2, 256, `([a-z0-9]+([._-][a-z0-9]+)*/)*[a-z0-9]+([._-][a-z0-9]+)*`, "an ECR repository's name of 2 to 256 characters, as in team/atta")
	imageTag    = newFormat(1, 128, `\w[\w.-]*`, "image tags of at most 128 letters, digits or any of _.-")
	imageDigest = newFormat(71, 71, `sha256:[0-9a-f]+`, "sha256: and 64 hex digits, the output image-digest of the job that pushed it")

	// https://docs.docker.com/reference/dockerfile/, restricted to one line each.
	imageFile   = newFormat(3, 4096, `[^\pC\p{Zl}\p{Zp}:]+:/[^\pC\p{Zl}\p{Zp}:]*(:0[0-7]{3})?`, "path:/path/in/image or path:/path/in/image:0755, one a line").excludeWhere(leavesRoot)
	imagePath   = newFormat(1, 4096, `/[^\pC\p{Zl}\p{Zp}]*`, "an absolute path in the image").excludeWhere(isBroken)
	platform    = newFormat(3, 64, `[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?`, "platforms, as in linux/amd64 or linux/arm64")
	envVariable = newFormat(2, 4096, `[A-Za-z_]\w*=[^\pC\p{Zl}\p{Zp}]*`, "NAME=value, one a line").excludeWhere(isBroken)
	imageLabel  = newFormat(2, 4096, `[A-Za-z0-9][\w./-]*=[^\pC\p{Zl}\p{Zp}]*`, "name=value, one a line").excludeWhere(isBroken)
	user        = newFormat(1, 64, `[\w.-]+(:[\w.-]+)?`, "a user, or user:group, by name or number")

	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, except reserved prefixes and suffixes.
	bucket     = newFormat(3, 63, `[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*`, "an S3 bucket's name of 3 to 63 characters, as in atta-deploy-artifacts").excludeWhere(isAddress)
	bundleFile = newFormat(1, 255, `[A-Za-z0-9._/+@-]+`, "paths in bundle-path, as in certs/ca.pem")
	// Half of a key's 1,024 bytes are reserved for what follows the prefix.
	keyPrefix    = newFormat(1, 512, `[\w.=-]+(/[\w.=-]+)*/?`, "folders of letters, digits or any of _.=-, as in bundles/dev/").excludeWhere(hasDots)
	kmsKey       = newFormat(1, 256, `[\w:/-]+`, "a KMS key's id or ARN, or alias/<name>")
	bundleSHA256 = newFormat(64, 64, `[0-9a-f]+`, "64 hex digits, the output bundle-sha256 of the job that uploaded it")

	// The name alone: SSM also accepts the ARN of another account's document, which anybody may have shared.
	documentName = newFormat(3, 128, `[\w.-]+`, "the name of an SSM document of this account, as in deploy-atta-dev, or AWS-RunShellScript").excludeWhere(isOfAWS)

	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CloudWatchOutputConfig.html
	logGroup = newFormat(1, 512, `[\w.#/-]+`, "the name of a CloudWatch log group, as in /deploy/atta-dev")

	instanceID = newFormat(10, 20, `i-([0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17}`, "instance ids, as in i-0123456789abcdef0")

	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#id_tags_naming_best_practices
	targetTag = newFormat(2, 512, `[\pL\pN +_.:/@-]+=[\pL\pN +=_.:/@-]*`, "tags with their values, as in Environment=dev").excludeWhere(isBroken)
	wave      = newFormat(1, 6, `[1-9]\d*|([1-9]\d?|100)%`, "numbers of instances or percentages, as in 1, 25%, 100%")

	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-hierarchies.html
	settingsPath = format{func(s string) bool { return len(s) <= 1011 && deploy.MatchesForm("settings-from", s) }, "a path in Parameter Store, as in /atta/dev/"}

	healthCommand = newFormat(1, deploy.MaxHealthCommand, `[^\pC\p{Zl}\p{Zp}]+`,
		fmt.Sprintf("a command on one line, at most %d bytes without control characters", deploy.MaxHealthCommand)).excludeWhere(isBroken)
	healthURL = newFormat(1, deploy.MaxHealthURL, `http://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?(/[\w.~/?&=%+,:@;-]*)?`, "an http address without spaces or quotes, as in http://127.0.0.1:8080/health")

	printable = newFormat(1, 4096, `[^\pC\p{Zl}\p{Zp}]+`, "text on one line without control characters").excludeWhere(isBroken)
)

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isOfAWS reports whether the name of a document is one that only AWS's documents have.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
func isOfAWS(document string) bool {
	lower := strings.ToLower(document)
	return strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "amazon") || strings.HasPrefix(lower, "amzn")
}

func hasDots(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

// leavesRoot reports whether the destination of an image file would be outside the image.
func leavesRoot(file string) bool {
	_, to, _ := strings.Cut(file, ":")
	return isBroken(file) || hasDots(to)
}

func isBroken(s string) bool { return !utf8.ValidString(s) }
