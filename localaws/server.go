// Package localaws emulates the parts of AWS that a container deployment uses: ECR with its
// registry, S3, SSM Run Command, Parameter Store, CloudWatch Logs, STS and GitHub's OIDC endpoint, all on
// one loopback address and in the wire formats of the real SDK and CLI. It does not depend on the
// action in this repository.
//
// It checks signatures, tokens and preconditions, evaluates the policies of roles and buckets
// ([Server.CreateRole], [WithPolicy]), truncates and delays output as the services do, runs
// commands on a [Machine] of the caller, injects faults into requests ([Server.AddFault]) and
// deliveries ([Instance]), and records every request with the permissions that it needed
// ([Server.Calls]).
//
// It does not store anything on disk, limit rates, or serve other operations, for which it
// returns the service's own error.
//
// The subpackages provide machines and content: host runs scripts in a folder, with the
// stand-ins for docker, systemctl and aws from standins on its PATH; simhost simulates the
// results of the host scripts; sample builds container images; iam evaluates policies; account
// is what the Terraform module creates; demo is "make demo".
package localaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Options are the account, region and timing of a Server. The zero value is usable.
type Options struct {
	Listen          string           // address without a port; default 127.0.0.1
	InMemory        bool             // open no port: only clients made with Config can connect
	Account         string           // default "123456789012"
	Region          string           // default "us-east-1"
	Partition       string           // default: that of the region
	Subject         string           // sub of the job's OIDC tokens; default: that of a job in the environment dev
	LogDelay        time.Duration    // how long an event of CloudWatch Logs is not returned; default 500 ms, negative: none
	Provider        Provider         // the account's identity provider for these tokens
	InvocationDelay time.Duration    // how long the invocations of a new command are not listed; default 50 ms, negative: none
	Now             func() time.Time // clock for signatures, tokens and records; default time.Now
	Observe         func([]byte)     // is called with each request as it arrives, whole; may be nil
}

// Server is a running emulator. Its methods are safe for concurrent use.
type Server struct {
	options Options
	http    http.Server
	address string
	memory  *memory // nil: listens on a real port
	stop    context.CancelFunc

	journal journal
	faults  faults
	keys    *keyring
	runner  principal
	roles   *roles

	oidc     *oidc
	sts      *sts
	ecr      *ecr
	registry *ecrRegistry
	s3       *s3
	logs     *logs
	ssm      *ssm
}

// service is one of the APIs at the common address.
type service interface {
	// name returns the operation of the request and the resource that it concerns.
	name(r *request) (operation, resource string)
	// serve authenticates and handles the request. Its error is passed to refuse.
	serve(w http.ResponseWriter, r *request) error
	// refuse writes an error in the service's own format.
	refuse(w http.ResponseWriter, r *request, err *Error)
}

// request is an HTTP request whose body has been read, except that of a blob for the
// registry.
type request struct {
	*http.Request
	operation string
	body      []byte
	principal principal

	roles       *roles
	permissions []Permission // that it needed
}

// Start starts a server on a free port, or in memory. Close stops it.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Partition == "" {
		o.Partition = partitionOf(o.Region)
	}
	if o.Subject == "" {
		// https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
		o.Subject = "repo:org@1234567/atta@987654321:environment:dev"
	}
	if o.InvocationDelay == 0 {
		o.InvocationDelay = 50 * time.Millisecond
	}
	if o.LogDelay == 0 {
		o.LogDelay = 500 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o}
	listener, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("open port: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.address, s.stop = listener.Addr().String(), stop
	s.keys = &keyring{region: o.Region, now: o.Now}
	s.runner = s.keys.issueKey("AKIA", "arn:"+o.Partition+":iam::"+o.Account+":user/runner", time.Time{}, "")
	s.roles = &roles{account: o.Account, partition: o.Partition, list: map[string]role{}}
	s.oidc = newOIDC(o)
	s.sts = &sts{account: o.Account, partition: o.Partition, provider: o.Provider, keys: s.keys, oidc: s.oidc}
	s.ecr = newECR(o, s.keys, s.RegistryHost())
	s.registry = newRegistry(s.ecr)
	s.s3 = newS3(o, s.keys)
	s.logs = newLogs(o, s.keys)
	s.ssm = newSSM(ctx, o, s.keys, s.logs)
	s.ssm.roles, s.ssm.journal = s.roles, &s.journal

	s.http = http.Server{
		Handler:     http.HandlerFunc(s.handle),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func (s *Server) listen() (net.Listener, error) {
	if s.options.InMemory {
		s.memory = newMemory()
		return s.memory, nil
	}
	return net.Listen("tcp", net.JoinHostPort(s.options.Listen, "0"))
}

// Close kills running scripts, waits for them and stops serving.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	s.ssm.stopAgents()
	return err
}

// Options returns the options with which the server was started, with their defaults.
func (s *Server) Options() Options { return s.options }

// URL returns the endpoint of every service, for AWS_ENDPOINT_URL.
func (s *Server) URL() string { return "http://" + s.address }

// RegistryHost returns the host and port of the registry, as in an image reference.
func (s *Server) RegistryHost() string { return s.address }

// Env returns the environment of the runner: endpoint, region and a long-lived key.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_REGION=" + s.options.Region,
		"AWS_DEFAULT_REGION=" + s.options.Region, // the CLI reads only this one
		"AWS_ACCESS_KEY_ID=" + s.runner.id,
		"AWS_SECRET_ACCESS_KEY=" + s.runner.secret,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// OIDCEnv returns the environment of a job with id-token: write.
func (s *Server) OIDCEnv() []string {
	return []string{
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.URL() + oidcPath + "?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s.oidc.bearer,
	}
}

// Config returns an SDK configuration with the endpoint and key of Env.
func (s *Server) Config() aws.Config {
	config := aws.Config{
		Region:       s.options.Region,
		BaseEndpoint: aws.String(s.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(s.runner.id, s.runner.secret, ""),
	}
	if s.memory != nil {
		config.HTTPClient = s.memory.client()
	}
	return config
}

func (s *Server) handle(w http.ResponseWriter, hr *http.Request) {
	if s.options.Observe != nil {
		whole, err := httputil.DumpRequest(hr, true)
		if err != nil {
			return // the client has disconnected
		}
		s.options.Observe(whole)
	}
	r := &request{Request: hr, roles: s.roles}
	api := s.route(hr)
	if api != s.registry || !isBlob(hr.URL.Path) {
		var err error
		if r.body, err = io.ReadAll(hr.Body); err != nil {
			return // the client has disconnected
		}
	}
	operation, resource := api.name(r)
	r.operation = operation[strings.Index(operation, ":")+1:]
	now := s.options.Now()
	call := s.journal.begin(Call{Operation: operation, Resource: resource, Time: now})
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))

	if s.memory != nil {
		time.Sleep(memoryLatency)
	}
	out := &reply{ResponseWriter: w}
	defer func() { s.journal.end(call, r, out.status) }()
	fault := s.faults.nextFault(operation, resource)
	if !sleepContext(hr.Context(), fault.Delay) || fault.Reset {
		resetConnection(w)
		return
	}
	if fault.HangUp {
		closeConnection(w)
		return
	}
	if fault.DropReply {
		out.ResponseWriter = &discardedReply{header: http.Header{}}
	}
	err := fault.errorAnswer()
	if err == nil {
		err = api.serve(out, r)
	}
	if errors.Is(err, errHangUp) {
		closeConnection(w)
		return
	}
	if err != nil {
		api.refuse(out, r, answerOf(api, err))
	}
	if fault.DropReply {
		out.status = 0
		resetConnection(w)
	}
}

// route selects the service by headers and paths that only its clients send.
func (s *Server) route(r *http.Request) service {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, "AmazonSSM."):
		return s.ssm
	case strings.HasPrefix(target, "Logs_20140328."):
		return s.logs
	case strings.HasPrefix(target, "AmazonEC2ContainerRegistry_V20150921."):
		return s.ecr
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		return s.registry
	case r.URL.Path == oidcPath:
		return s.oidc
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return s.sts
	}
	return s.s3
}

// sleepContext waits for d, and returns false if ctx ends first.
func sleepContext(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
