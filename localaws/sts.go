package localaws

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// sts issues and describes identities. Every role of its account exists and trusts every
// identity of the account and this server's OIDC issuer.
type sts struct {
	account string
	keys    *keyring
	oidc    *oidc
}

func (s *sts) name(r *request) (string, string) {
	form, _ := url.ParseQuery(string(r.body))
	return "sts:" + form.Get("Action"), form.Get("RoleArn")
}

func (s *sts) serve(w http.ResponseWriter, r *request) error {
	form, _ := url.ParseQuery(string(r.body))
	switch r.operation {
	case "AssumeRoleWithWebIdentity": // the only call without a signature: the token is the proof
		identity, err := s.oidc.verifyToken(form.Get("WebIdentityToken"))
		if err != nil {
			return err
		}
		return s.assumeRole(w, r, form, "<SubjectFromWebIdentityToken>"+escapeXML(identity.Subject)+"</SubjectFromWebIdentityToken>"+
			"<Audience>"+escapeXML(identity.Audience)+"</Audience>")
	case "AssumeRole":
		if err := s.keys.verifySignature(r, "sts", hexSHA256(r.body)); err != nil {
			return err
		}
		return s.assumeRole(w, r, form, "")
	case "GetCallerIdentity":
		if err := s.keys.verifySignature(r, "sts", hexSHA256(r.body)); err != nil {
			return err
		}
		s.writeResult(w, r, "<Arn>"+r.principal.arn+"</Arn><UserId>"+r.principal.id+"</UserId><Account>"+s.account+"</Account>")
		return nil
	}
	return &Error{Code: "InvalidAction", Message: "Could not find operation " + r.operation}
}

func (s *sts) assumeRole(w http.ResponseWriter, r *request, form url.Values, more string) error {
	arn, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	owner, role, ok := strings.Cut(strings.TrimPrefix(arn, "arn:aws:iam::"), ":role/")
	if !ok || len(session) < 2 {
		return &Error{Code: "ValidationError", Message: "RoleArn or RoleSessionName is invalid"}
	}
	if owner != s.account {
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Not authorized to perform " + "sts:" + r.operation}
	}
	duration := 3600
	if text := form.Get("DurationSeconds"); text != "" {
		var err error
		if duration, err = strconv.Atoi(text); err != nil || duration < 900 || duration > 43200 {
			return &Error{Code: "ValidationError", Message: "DurationSeconds must be between 900 and 43200"}
		}
	}
	role = role[strings.LastIndex(role, "/")+1:]
	expires := s.keys.now().Add(time.Duration(duration) * time.Second)
	p := s.keys.issueKey("ASIA", "arn:aws:sts::"+s.account+":assumed-role/"+role+"/"+session, expires)
	if r.principal.id == "" {
		r.principal = p
	}
	s.writeResult(w, r, "<AssumedRoleUser><Arn>"+escapeXML(p.arn)+"</Arn><AssumedRoleId>AROALOCALAWS:"+escapeXML(session)+"</AssumedRoleId></AssumedRoleUser>"+
		"<Credentials><AccessKeyId>"+p.id+"</AccessKeyId><SecretAccessKey>"+p.secret+"</SecretAccessKey>"+
		"<SessionToken>"+p.token+"</SessionToken><Expiration>"+expires.UTC().Format(time.RFC3339)+"</Expiration></Credentials>"+more)
	return nil
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
