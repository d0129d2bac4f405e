package report

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// consoleLink returns a link to a page of the region's console; only the text in a partition that has none.
func consoleLink(result rollout.Result, text, path string) string {
	if result.Console == "" || path == "" {
		return text
	}
	path, fragment, _ := strings.Cut(path, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	return fmt.Sprintf("[%s](https://%s/%s?region=%s%s)", text, result.Console, path, result.Plan.Region, fragment)
}

// instancePath returns the path of an EC2 instance in the console; empty for a machine outside EC2.
func instancePath(id string) string {
	if !instanceID.MatchString(id) {
		return ""
	}
	return "ec2/home#InstanceDetails:instanceId=" + id
}

var (
	instanceID = regexp.MustCompile(`^i-[0-9a-z]+$`)
	managedID  = regexp.MustCompile(`^m?i-[0-9a-z]+$`)
	urlName    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`) // needs no escape in a URL
	commitID   = regexp.MustCompile(`^[0-9a-f]{40}$`)

	// registryImage matches an image in ECR, by digest.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
	registryImage = regexp.MustCompile(`^(\d{12})\.dkr[.-]ecr[.a-z0-9-]*/([a-z0-9./_-]+)@(sha256:[0-9a-f]{64})$`)
)

// instanceLink returns the ID and the name of a host, with a link if it is in EC2.
func instanceLink(result rollout.Result, host *rollout.Host) string {
	return consoleLink(result, escapeCell(host.String()), instancePath(host.ID))
}

// hostLinks returns links to a host's output of its command and to a shell on it.
func hostLinks(result rollout.Result, host *rollout.Host) string {
	var links []string
	if result.Console != "" && managedID.MatchString(host.ID) {
		if urlName.MatchString(host.CommandID) {
			links = append(links, consoleLink(result, "output", "systems-manager/run-command/"+host.CommandID+"/"+host.ID))
		}
		links = append(links, consoleLink(result, "shell", "systems-manager/session-manager/"+host.ID))
	}
	return strings.Join(links, ", ")
}

// imageLink returns the image's name and tag with a link to it in the console, if it is in ECR.
func imageLink(result rollout.Result) string {
	match := registryImage.FindStringSubmatch(result.Image.URI)
	if match == nil {
		return codeSpan(result.Image.URI)
	}
	name := codeSpan(match[2] + ":" + cmp.Or(result.Image.Tag, result.Plan.Release.Version.String()))
	return consoleLink(result, name, fmt.Sprintf("ecr/repositories/private/%s/%s/_/image/%s/details", match[1], match[2], match[3]))
}

// compareLink returns a link to the changes between two versions in the workflow's repository: by
// their commits if both are known, otherwise by their tags, which the documented workflows push.
func compareLink(result rollout.Result, from, to string) string {
	repository, _, ok := strings.Cut(result.Plan.Holder.RunURL, "/actions/runs/")
	if !ok || from == to || !urlName.MatchString(from) || !urlName.MatchString(to) {
		return ""
	}
	if current := result.Current; result.Plan.Operation == rollout.Deploy && result.Plan.Phases.Image && current.Version == from &&
		commitID.MatchString(current.Commit) && commitID.MatchString(result.Plan.Commit) {
		from, to = current.Commit, result.Plan.Commit
	}
	return fmt.Sprintf("[changes](%s/compare/%s...%s)", repository, from, to)
}
