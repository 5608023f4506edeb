package rolesanywhere

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

func TestCreateSession_RefusesBadInputUnsent(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }, nil)
	id := vectorIdentity(t, "p256")
	for name, tt := range map[string]struct {
		change func(*CreateSessionInput)
		says   string
	}{
		"no profile": {func(in *CreateSessionInput) { in.ProfileARN = "" }, "ProfileARN is \"\""},
		"role not an ARN": {func(in *CreateSessionInput) { in.RoleARN = "app" },
			"RoleARN is \"app\"; want an ARN"},
		"no trust anchor": {func(in *CreateSessionInput) { in.TrustAnchorARN = "" }, "TrustAnchorARN is \"\""},
		"swapped": {func(in *CreateSessionInput) {
			in.ProfileARN, in.TrustAnchorARN = in.TrustAnchorARN,
				in.ProfileARN
		}, "of another kind of resource; want arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID"},
		"profile as role": {func(in *CreateSessionInput) { in.RoleARN = in.ProfileARN }, "RoleARN is"},
		"user as role": {func(in *CreateSessionInput) { in.RoleARN = "arn:aws:iam::123456789012:user/app" },
			"of another kind of resource; want arn:aws:iam::ACCOUNT:role/NAME"},
		"role without a name": {func(in *CreateSessionInput) { in.RoleARN = "arn:aws:iam::123456789012:role/" },
			"RoleARN is"},
		"account of 11 digits": {func(in *CreateSessionInput) { in.RoleARN = "arn:aws:iam::12345678901:role/app" },
			"account of 12 digits"},
		"role with a region": {func(in *CreateSessionInput) {
			in.RoleARN = "arn:aws:iam:us-east-1:123456789012:role/app"
		}, "RoleARN is"},
		"anchor without region": {func(in *CreateSessionInput) {
			in.TrustAnchorARN = strings.Replace(in.TrustAnchorARN, "us-east-1", "", 1)
		}, "TrustAnchorARN is"},
		"anchor of another region": {func(in *CreateSessionInput) {
			in.TrustAnchorARN = strings.Replace(in.TrustAnchorARN, "us-east-1", "eu-west-1", 1)
		},
			`TrustAnchorARN is of region "eu-west-1" and the client of "us-east-1"`},
		"profile of another region": {func(in *CreateSessionInput) {
			in.ProfileARN = strings.Replace(in.ProfileARN, "us-east-1", "eu-west-1", 1)
		},
			`ProfileARN is of region "eu-west-1" and TrustAnchorARN of "us-east-1"`},
		"role of another partition": {func(in *CreateSessionInput) {
			in.RoleARN = "arn:aws-cn:iam::123456789012:role/app"
		}, `partitions "aws", "aws" and "aws-cn"`},
		"session name with a space": {func(in *CreateSessionInput) { in.RoleSessionName = "orders api" },
			`RoleSessionName is "orders api"; want 2 to 64`},
		"session name of one": {func(in *CreateSessionInput) { in.RoleSessionName = "a" }, "RoleSessionName is"},
		"session name of 65": {func(in *CreateSessionInput) { in.RoleSessionName = strings.Repeat("a", 65) },
			"RoleSessionName is"},
		"property without a value": {func(in *CreateSessionInput) {
			in.InstanceProperties = map[string]string{"rack": ""}
		}, `the name "rack"`},
		"property not UTF-8": {func(in *CreateSessionInput) {
			in.InstanceProperties = map[string]string{"rack": "\xff"}
		}, "UTF-8"},
		"property of 201": {func(in *CreateSessionInput) {
			in.InstanceProperties = map[string]string{strings.Repeat("é", 201): "a"}
		}, "1 to 200 characters"},
		"51 properties": {func(in *CreateSessionInput) { in.InstanceProperties = numbered(51) },
			"are 51; want at most 50"},
		"short duration":   {func(in *CreateSessionInput) { in.Duration = 899 * time.Second }, "15m0s to 12h0m0s"},
		"long duration":    {func(in *CreateSessionInput) { in.Duration = 12*time.Hour + 1 }, "15m0s to 12h0m0s"},
		"negative":         {func(in *CreateSessionInput) { in.Duration = -time.Hour }, "15m0s to 12h0m0s"},
		"identity missing": {nil, "no identity"},
	} {
		in, who := testInput(), id
		if tt.change == nil {
			who = nil
		} else {
			tt.change(&in)
		}
		out, err := client.CreateSession(t.Context(), who, in)
		operation, isOperation := errors.AsType[*smithy.OperationError](err)
		if out != nil || !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), tt.says) ||
			!isOperation || operation.Service() != "RolesAnywhere" || operation.Operation() != "CreateSession" {
			t.Errorf("%s: error = %v; want ErrInvalidInput saying %q", name, err, tt.says)
		}
	}
	late := func(o *Options) { o.Now = func() time.Time { return id.Certificate().NotAfter.Add(time.Second) } }
	if _, err := client.CreateSession(t.Context(), id, testInput(), late); !errors.Is(err, ErrCertificateExpired) {
		t.Errorf("expired certificate: error = %v", err)
	}
}

func numbered(n int) map[string]string {
	properties := map[string]string{}
	for i := range n {
		properties[fmt.Sprint("name", i)] = strings.Repeat("é", maxInstanceProperty)
	}
	return properties
}

// The largest properties that are allowed arrive, at a service that judges them by itself.
func TestCreateSession_SendsInstanceProperties(t *testing.T) {
	t.Parallel()
	var sent struct{ InstanceProperties map[string]string }
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		answerSession(w, r)
	}, nil)
	in := testInput()
	in.InstanceProperties = numbered(maxInstanceProperties)
	if _, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), in); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(sent.InstanceProperties, in.InstanceProperties) {
		t.Errorf("sent %v", sent.InstanceProperties)
	}
}

func TestCreateSession_TakesTheRegionFromTheTrustAnchor(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	doer := doerFunc(func(r *http.Request) (*http.Response, error) {
		asked <- r
		return answer(201, sessionJSON(vectorTime.Add(time.Hour)))(r)
	})
	client := New(Options{HTTPClient: doer, Now: vectorClock})
	for region, host := range map[string]string{
		"us-east-1": "rolesanywhere.us-east-1.amazonaws.com", "eu-west-1": "rolesanywhere.eu-west-1.amazonaws.com",
	} {
		in := testInput()
		in.ProfileARN = strings.Replace(in.ProfileARN, "us-east-1", region, 1)
		in.TrustAnchorARN = strings.Replace(in.TrustAnchorARN, "us-east-1", region, 1)
		if _, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), in); err != nil {
			t.Fatal(err)
		}
		if r := <-asked; r.URL.Host != host ||
			!strings.Contains(r.Header.Get("Authorization"), "/"+region+"/rolesanywhere/") {
			t.Errorf("%s: sent to %s with %s", region, r.URL.Host, r.Header.Get("Authorization"))
		}
	}
}

func TestCreateSession_LeavesOutWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	in := testInput()
	in.RoleSessionName, in.Duration = "", 0
	body, err := in.encode()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(body); strings.Contains(s, "roleSessionName") || !strings.Contains(s, `"durationSeconds":3600,`) {
		t.Errorf("body = %s", s)
	}
}
