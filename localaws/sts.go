package localaws

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/localaws/iam"
)

// Provider is the account's identity provider for the tokens of GitHub, and how long a role can be assumed.
type Provider struct {
	Missing    bool          // the account has none
	Audience   string        // that it accepts; default sts.amazonaws.com
	MaxSession time.Duration // maximum session duration of the roles; default one hour
}

// sts issues and describes identities.
type sts struct {
	account, partition string
	provider           Provider
	keys               *keyring
	oidc               *oidc
}

func (s *sts) name(r *request) (string, string) {
	form, _ := url.ParseQuery(string(r.body))
	return "sts:" + form.Get("Action"), form.Get("RoleArn")
}

func (s *sts) serve(w http.ResponseWriter, r *request) error {
	form, _ := url.ParseQuery(string(r.body))
	switch r.operation {
	case "AssumeRoleWithWebIdentity": // the only call without a signature: the token is the proof
		identity, err := s.oidc.verifyToken(form.Get("WebIdentityToken"), s.provider)
		if err != nil {
			return err
		}
		return s.assumeRole(w, r, form, s.federatedRequest(identity), "<SubjectFromWebIdentityToken>"+escapeXML(identity.Subject)+"</SubjectFromWebIdentityToken>"+
			"<Audience>"+escapeXML(identity.Audience)+"</Audience>")
	case "AssumeRole":
		if err := s.keys.verifySignature(r, "sts", hexSHA256(r.body)); err != nil {
			return err
		}
		caller := iam.Principal{Kind: "AWS", Names: r.roles.namesOf(r.principal)}
		return s.assumeRole(w, r, form, iam.Request{Principal: caller, Keys: map[string]string{"sts:externalid": form.Get("ExternalId")}}, "")
	case "GetCallerIdentity":
		if err := s.keys.verifySignature(r, "sts", hexSHA256(r.body)); err != nil {
			return err
		}
		s.writeResult(w, r, "<Arn>"+r.principal.arn+"</Arn><UserId>"+r.principal.id+"</UserId><Account>"+s.account+"</Account>")
		return nil
	}
	return &Error{Code: "InvalidAction", Message: "Could not find operation " + r.operation}
}

// federatedRequest is that of a token's owner.
func (s *sts) federatedRequest(c claims) iam.Request {
	host := strings.TrimPrefix(issuer, "https://")
	return iam.Request{
		Principal: iam.Principal{Kind: "Federated", Names: []string{"arn:" + s.partition + ":iam::" + s.account + ":oidc-provider/" + host}},
		Keys:      map[string]string{host + ":aud": c.Audience, host + ":sub": c.Subject},
	}
}

func (s *sts) assumeRole(w http.ResponseWriter, r *request, form url.Values, asked iam.Request, more string) error {
	arn, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	partition, name, ok := strings.Cut(arn, ":iam::")
	owner, role, found := strings.Cut(name, ":role/")
	if !ok || !found || len(session) < 2 {
		return &Error{Code: "ValidationError", Message: "RoleArn or RoleSessionName is invalid"}
	}
	role = role[strings.LastIndex(role, "/")+1:]
	asked.Action, asked.Resource = "sts:"+r.operation, arn
	allowed := owner == s.account && r.roles.mayAssume(role, asked, r.principal)
	r.permissions = append(r.permissions, Permission{asked.Action, arn, allowed})
	switch {
	case !allowed && r.principal.id == "": // the service names neither the subject nor the condition
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	case !allowed:
		return denial{fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", r.principal.arn, asked.Action, arn)}
	}
	duration, err := s.sessionDuration(r, form.Get("DurationSeconds"))
	if err != nil {
		return err
	}
	expires := s.keys.now().Add(duration)
	p := s.keys.issueKey("ASIA", partition+":sts::"+s.account+":assumed-role/"+role+"/"+session, expires, role)
	if r.principal.id == "" {
		r.principal = p
	}
	s.writeResult(w, r, "<AssumedRoleUser><Arn>"+escapeXML(p.arn)+"</Arn><AssumedRoleId>AROALOCALAWS:"+escapeXML(session)+"</AssumedRoleId></AssumedRoleUser>"+
		"<Credentials><AccessKeyId>"+p.id+"</AccessKeyId><SecretAccessKey>"+p.secret+"</SecretAccessKey>"+
		"<SessionToken>"+p.token+"</SessionToken><Expiration>"+expires.UTC().Format(time.RFC3339)+"</Expiration></Credentials>"+more)
	return nil
}

// sessionDuration checks DurationSeconds against the bounds of the API, of the role, and of role chaining
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use.html#id_roles_use_view-role-max-session).
func (s *sts) sessionDuration(r *request, text string) (time.Duration, error) {
	seconds, err := strconv.Atoi(cmp.Or(text, "3600"))
	duration := time.Duration(seconds) * time.Second
	problem := ""
	switch {
	case err != nil || seconds < 900 || seconds > 43200:
		problem = "1 validation error detected: Value '" + text + "' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200"
	case duration > time.Hour && strings.Contains(r.principal.arn, ":assumed-role/"):
		problem = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
	case duration > cmp.Or(s.provider.MaxSession, time.Hour):
		problem = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
	default:
		return duration, nil
	}
	return 0, &Error{Code: "ValidationError", Message: problem}
}

func (s *sts) writeResult(w http.ResponseWriter, r *request, result string) {
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte("<" + r.operation + `Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><` + r.operation + "Result>" +
		result + "</" + r.operation + "Result><ResponseMetadata><RequestId>localaws</RequestId></ResponseMetadata></" + r.operation + "Response>"))
}

func (s *sts) refuse(w http.ResponseWriter, _ *request, err *Error) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(err.Status)
	_, _ = w.Write([]byte(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` +
		escapeXML(err.Code) + "</Code><Message>" + escapeXML(err.Message) + "</Message></Error><RequestId>localaws</RequestId></ErrorResponse>"))
}

func escapeXML(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
