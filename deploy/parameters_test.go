package deploy_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
)

// tables reads an associative array of bash: name to the rest of its line.
func tables(text, name string) map[string]string {
	_, rest, _ := strings.Cut(text, "declare -rA "+name+"=(\n")
	rest, _, _ = strings.Cut(rest, "\n)")
	for _, variable := range regexp.MustCompile(`(?s)readonly ([A-Z_]+)="(.*?)"`).FindAllStringSubmatch(text, -1) {
		rest = strings.ReplaceAll(rest, "$"+variable[1]+`"`, variable[2]+`"`)
	}
	rest = strings.ReplaceAll(rest, "\\\n", "")
	entries := map[string]string{}
	for _, match := range regexp.MustCompile(`\['([a-z0-9-]+)'\]=(.*)`).FindAllStringSubmatch(rest, -1) {
		entries[match[1]] = strings.Trim(match[2], `'"`)
	}
	return entries
}

// requests are one of each command, with every parameter.
func requests() []deploy.Request {
	header := deploy.Header{Service: "atta", DeploymentID: "d-1", Generation: deploy.MaxGeneration, NotAfter: time.Unix(1, 0), LiveLog: true}
	release := deploy.ReleaseRequest{
		Header: header, Version: "0.1.30-dev", Image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/atta@sha256:" + strings.Repeat("a", 64), ImageBytes: 1,
		Region: "us-east-1", BundleURI: "s3://bucket/key", BundleSHA256: strings.Repeat("a", 64),
		Policy: deploy.Policy{
			OnRunning: "wait", DrainTimeout: time.Second, HealthTimeout: time.Second, MinHealthyTime: time.Second, KeepReleases: 1,
			HealthCommand: strings.Repeat("x", deploy.MaxHealthCommand), HealthURL: "http://" + strings.Repeat("x", deploy.MaxHealthURL),
			SettingsFrom: "/atta/dev/",
		},
	}
	check := release
	check.CheckOnly = true
	return []deploy.Request{
		release, check,
		deploy.RollbackRequest{Header: header, Version: "0.1.30-dev"},
		deploy.StatusRequest{Header: header, About: "d-0"},
		deploy.DoctorRequest{Header: header, Region: "us-east-1", SettingsFrom: "/atta/dev"},
	}
}

func TestBothHalvesHaveTheSameParameters(t *testing.T) {
	bootstrap, _ := scripts(t)
	forms, needed := tables(bootstrap, "FORMS"), tables(bootstrap, "NEEDED")
	sent := map[string]bool{}
	var commands []string
	for _, request := range requests() {
		lines, err := deploy.Script(request)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, request.Command())
		for _, name := range found(lines[1], `--([a-z0-9-]+)=`) {
			sent[name] = true
		}
	}
	wantSame(t, "parameters", slices.Collect(maps.Keys(sent)), slices.Sorted(maps.Keys(forms)))
	wantSame(t, "commands", commands, slices.Sorted(maps.Keys(needed)))
	for _, request := range minimalRequests() {
		lines, err := deploy.Script(request)
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(needed[request.Command()])
		if request.Command() == "status" {
			names = append(names, "deployment") // an operator may do without
		}
		slices.Sort(names)
		wantSame(t, "required parameters of "+request.Command(), found(lines[1], `--([a-z0-9-]+)=`), names)
	}
}

// minimalRequests are one of each command, without optional parameters.
func minimalRequests() (list []deploy.Request) {
	for _, request := range requests() {
		switch r := request.(type) {
		case deploy.ReleaseRequest:
			r.LiveLog, r.Generation, r.Policy.HealthCommand, r.Policy.HealthURL, r.Policy.SettingsFrom = false, 0, "", "", ""
			list = append(list, r)
		case deploy.RollbackRequest:
			r.LiveLog, r.Generation, r.Version = false, 0, ""
			list = append(list, r)
		case deploy.StatusRequest:
			r.LiveLog, r.Generation, r.NotAfter, r.About = false, 0, time.Time{}, ""
			list = append(list, r)
		case deploy.DoctorRequest:
			r.LiveLog, r.Generation, r.NotAfter, r.SettingsFrom = false, 0, time.Time{}, ""
			list = append(list, r)
		}
	}
	return list
}

func TestBothHalvesHaveTheSameForms(t *testing.T) {
	bootstrap, _ := scripts(t)
	parts := map[string]string{}
	for _, match := range regexp.MustCompile(`([A-Z]+)='([^']*)'`).FindAllStringSubmatch(bootstrap, -1) {
		parts["$"+match[1]] = match[2]
	}
	expanded := map[string]string{}
	for name, form := range tables(bootstrap, "FORMS") {
		for part, text := range parts {
			form = strings.ReplaceAll(form, part, text)
		}
		expanded[name] = strings.ReplaceAll(form, `\\`, `\`)
	}
	if diff := cmp.Diff(deploy.Forms(), expanded); diff != "" {
		t.Errorf("forms differ (-Go +bash):\n%s", diff)
	}
	generation := regexp.MustCompile("^(" + expanded["generation"] + ")$")
	if !generation.MatchString(strconv.Itoa(deploy.MaxGeneration)) || generation.MatchString(strconv.Itoa(deploy.MaxGeneration+1)) {
		t.Errorf("the form of a generation does not end at %d", deploy.MaxGeneration)
	}
	if _, err := deploy.ParseReport(fmt.Sprintf(`%s{"v":1,"outcome":"status","phase":"x","generation":%d}`, deploy.ReportMark, deploy.MaxGeneration)); err != nil {
		t.Error(err)
	}
}

func TestARequestThatTheHostWouldRefuseIsNotSent(t *testing.T) {
	for name, change := range map[string]func(*deploy.ReleaseRequest){
		"service":    func(r *deploy.ReleaseRequest) { r.Service = "No Name" },
		"version":    func(r *deploy.ReleaseRequest) { r.Version = "1" },
		"sha256":     func(r *deploy.ReleaseRequest) { r.BundleSHA256 = "" },
		"generation": func(r *deploy.ReleaseRequest) { r.Generation = deploy.MaxGeneration + 1 },
		"health-command": func(r *deploy.ReleaseRequest) {
			r.Policy.HealthCommand = strings.Repeat("x", deploy.MaxHealthCommand+1)
		},
	} {
		request := requests()[0].(deploy.ReleaseRequest)
		change(&request)
		if _, err := deploy.Script(request); err == nil || !strings.Contains(err.Error(), "--"+name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
