package clients

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// silentAfter is a client whose every connection leads to a service that reads the request, writes reply and stays silent.
func silentAfter(reply string, dialed *int) *awshttp.BuildableClient {
	return newHTTPClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
			*dialed++
			here, there := net.Pipe()
			go func() {
				if request, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
				}
				_, _ = io.WriteString(there, reply)
				_, _ = io.Copy(io.Discard, there)
			}()
			return here, nil
		}
	})
}

// onFakeTime calls a test with the configuration of a region, without this machine's files.
func onFakeTime(t *testing.T, do func(*testing.T, aws.Config)) {
	t.Helper()
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, os.DevNull)
	}
	synctest.Test(t, func(t *testing.T) {
		cfg, err := loadConfig(t.Context(), inputs.Identity{Region: "us-east-1"}, noToken{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, cfg)
	})
}

func TestSilentServiceIsRetriedAndReported(t *testing.T) {
	onFakeTime(t, func(t *testing.T, cfg aws.Config) {
		var dialed int
		cfg.Credentials, cfg.BaseEndpoint = credentials.NewStaticCredentialsProvider("key", "secret", ""), aws.String("http://sts.example")
		cfg.HTTPClient = silentAfter("", &dialed)
		began := time.Now()
		_, _, err := callerAccount(t.Context(), cfg, nil)
		if took := time.Since(began); err == nil || dialed < 2 || took > time.Duration(dialed+1)*responseTimeout || !strings.Contains(err.Error(), "get AWS caller identity") {
			t.Errorf("%v after %d connections and %s", err, dialed, took)
		}
	})
}

func TestReplyThatNeverEndsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialed int
		began := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://s3.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := silentAfter("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<", &dialed).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		if _, err := io.ReadAll(reply.Body); err == nil || time.Since(began) != attemptTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// unreachable is a client that nothing answers: each of its attempts to connect ends with the client's own time limit.
func unreachable(dialed func()) *awshttp.BuildableClient {
	client := newHTTPClient()
	limit := client.GetDialer().Timeout
	return client.WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(limit, time.Hour))
			defer cancel()
			<-ctx.Done()
			dialed()
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
		}
	})
}

// issued are the times at which tokens were issued.
type issued []time.Time

func (*issued) HasIDToken() bool { return true }

func (i *issued) IDToken(context.Context, string) (string, error) {
	*i = append(*i, time.Now())
	return "token", nil
}

// GitHub's token is valid for minutes, and attempts to connect that last as long leave none for the one that succeeds:
// https://github.com/aws-actions/configure-aws-credentials/issues/1848
func TestCaseNoTokenIsUsedForLongWhileSTSCannotBeReached(t *testing.T) {
	onFakeTime(t, func(t *testing.T, cfg aws.Config) {
		var tokens issued
		cfg.HTTPClient = unreachable(func() {
			if age := time.Since(tokens[len(tokens)-1]); age > 2*time.Minute {
				t.Errorf("a token was used after %s", age)
			}
		})
		who := inputs.Identity{Region: "us-east-1", Role: "arn:aws:iam::123456789012:role/atta", SessionName: "atta", SessionDuration: time.Hour}
		cfg.Credentials = aws.NewCredentialsCache(newWebIdentity(t.Context(), sts.NewFromConfig(cfg), who, &tokens))
		began := time.Now()
		_, _, err := callerAccount(t.Context(), cfg, nil)
		if took := time.Since(began); err == nil || len(tokens) < 2 || took > 5*time.Minute || !strings.Contains(err.Error(), "https://sts.us-east-1.amazonaws.com/") {
			t.Errorf("%v after %d tokens and %s", err, len(tokens), took)
		}
	})
}

// noToken is a job that may not have a token.
type noToken struct{ TokenSource }

func (noToken) HasIDToken() bool { return false }
