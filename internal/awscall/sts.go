package awscall

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const stsVersion = "2011-06-15"

func (s STS) query(operation string, p parameters) query {
	return query{
		service:    serviceSTS,
		version:    stsVersion,
		endpoint:   s.endpoint(),
		region:     s.Region,
		operation:  operation,
		parameters: p,
	}
}

// CallerIdentity says whose credentials signed a call.
type CallerIdentity struct{ Account, ARN, UserID string }

// GetCallerIdentity needs no permission: AWS refuses it only for credentials that are not valid.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (c *Client) GetCallerIdentity(ctx context.Context, sts STS, creds Credentials) (*CallerIdentity, error) {
	identity := &CallerIdentity{}
	err := sts.query("GetCallerIdentity", nil).call(ctx, c, creds, func(path, text string) error {
		switch path {
		case "Account":
			identity.Account = text
		case "Arn":
			identity.ARN = text
		case "UserId":
			identity.UserID = text
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case identity.ARN == "":
		return nil, malformedSTS("it holds no Arn")
	}
	return identity, nil
}

// Tag is a session tag.
type Tag struct{ Key, Value string }

// AssumeRoleInput are AssumeRole's parameters; what is empty is not sent.
type AssumeRoleInput struct {
	RoleARN           string
	SessionName       string
	Policy            string        // a session policy in JSON
	Duration          time.Duration // sent in whole seconds
	ExternalID        string
	Tags              []Tag
	TransitiveTagKeys []string
	SourceIdentity    string
}

// AssumeRoleOutput is a session. Its credentials are never empty and its Expiration never zero.
type AssumeRoleOutput struct {
	Credentials      Credentials
	ARN              string    // of the assumed role's session
	Expiration       time.Time // by the service's clock
	PackedPolicySize int       // per cent of AWS's limit for policies and tags together; 0 where none was sent
	SourceIdentity   string
}

// AssumeRole obtains a session. MinIO's STS has no assumed role: the ARN is empty or a placeholder there.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (c *Client) AssumeRole(
	ctx context.Context,
	sts STS,
	creds Credentials,
	in AssumeRoleInput,
) (*AssumeRoleOutput, error) {
	out := &AssumeRoleOutput{}
	err := sts.query("AssumeRole", in.parameters()).call(ctx, c, creds, out.read)
	switch {
	case err != nil:
		return nil, err
	case out.Credentials.incomplete():
		return nil, malformedSTS("it holds no complete credentials")
	case out.Expiration.IsZero():
		return nil, malformedSTS("it holds no Expiration")
	}
	return out, nil
}

func (c Credentials) incomplete() bool {
	return c.AccessKeyID == "" || c.SecretAccessKey.Empty() || c.SessionToken.Empty()
}

func (in AssumeRoleInput) parameters() parameters {
	p := parameters{}
	p.set("RoleArn", in.RoleARN)
	p.set("RoleSessionName", in.SessionName)
	p.set("Policy", in.Policy)
	if in.Duration > 0 {
		p.set("DurationSeconds", strconv.FormatInt(int64(in.Duration/time.Second), 10))
	}
	p.set("ExternalId", in.ExternalID)
	p.set("SourceIdentity", in.SourceIdentity)
	for i, tag := range in.Tags {
		member := "Tags.member." + strconv.Itoa(i+1)
		p[member+".Key"], p[member+".Value"] = tag.Key, tag.Value // a tag's value may be empty
	}
	p.list("TransitiveTagKeys", in.TransitiveTagKeys)
	return p
}

func (o *AssumeRoleOutput) read(path, text string) (err error) {
	switch path {
	case "Credentials/AccessKeyId":
		o.Credentials.AccessKeyID = text
	case "Credentials/SecretAccessKey":
		o.Credentials.SecretAccessKey = secret.New(text)
	case "Credentials/SessionToken":
		o.Credentials.SessionToken = secret.New(text)
	case "Credentials/Expiration":
		o.Expiration, err = parseTime(text)
	case "AssumedRoleUser/Arn":
		o.ARN = text
	case "SourceIdentity":
		o.SourceIdentity = text
	case "PackedPolicySize":
		if o.PackedPolicySize, err = strconv.Atoi(text); err != nil || o.PackedPolicySize < 0 {
			err = errors.New("its PackedPolicySize is not a number")
		}
	}
	return err
}

func malformedSTS(problem string) error {
	return &MalformedResponse{Service: serviceSTS, Status: 200, Problem: problem}
}
