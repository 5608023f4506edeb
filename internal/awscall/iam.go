package awscall

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	iamVersion = "2010-05-08"

	// maxAccessKeys is more than any user has: AWS allows two.
	maxAccessKeys = 100
)

// An access key's status.
const (
	StatusActive   = "Active"
	StatusInactive = "Inactive"
)

// AccessKey is one of a user's access keys. Secret is set by CreateAccessKey alone.
type AccessKey struct {
	ID       string
	Secret   secret.Text
	UserName string
	Status   string
	Created  time.Time
}

func (i IAM) query(operation string, p parameters) query {
	return query{service: serviceIAM, version: iamVersion, endpoint: i.endpoint(), region: i.signingRegion(),
		operation: operation, parameters: p}
}

func (k *AccessKey) read(path, text string) (err error) {
	switch path {
	case "AccessKeyId":
		k.ID = text
	case "SecretAccessKey":
		k.Secret = secret.New(text)
	case "UserName":
		k.UserName = text
	case "Status":
		k.Status = text
	case "CreateDate":
		k.Created, err = parseTime(text)
	}
	return err
}

// CreateAccessKey makes another access key for the user that the credentials are of. IAM may have made the key also
// where an error other than a *[Refusal] is returned: the response may have been lost.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
func (c *Client) CreateAccessKey(ctx context.Context, iam IAM, creds Credentials) (*AccessKey, error) {
	key := &AccessKey{}
	err := iam.query("CreateAccessKey", nil).call(ctx, c, creds, func(path, text string) error {
		if field, found := strings.CutPrefix(path, "AccessKey/"); found {
			return key.read(field, text)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case key.ID == "" || key.Secret.Empty():
		return nil, &MalformedResponse{Service: serviceIAM, Status: http.StatusOK, Problem: "it holds no access key"}
	}
	return key, nil
}

// ListAccessKeys returns the access keys of the user that the credentials are of, without their secrets.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html
func (c *Client) ListAccessKeys(ctx context.Context, iam IAM, creds Credentials) ([]AccessKey, error) {
	var keys []AccessKey
	var current AccessKey
	const member = "AccessKeyMetadata/member"
	err := iam.query("ListAccessKeys", nil).call(ctx, c, creds, func(path, text string) error {
		if path == member {
			if current.ID == "" || len(keys) == maxAccessKeys {
				return errors.New("it lists what are not a user's access keys")
			}
			keys = append(keys, current)
			current = AccessKey{}
			return nil
		}
		if field, found := strings.CutPrefix(path, member+"/"); found {
			return current.read(field, text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// UpdateAccessKey sets the status of one of the user's access keys, [StatusActive] or [StatusInactive].
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
func (c *Client) UpdateAccessKey(ctx context.Context, iam IAM, creds Credentials, id, status string) error {
	return iam.query("UpdateAccessKey", parameters{"AccessKeyId": id, "Status": status}).
		call(ctx, c, creds, ignore)
}

// DeleteAccessKey deletes one of the user's access keys, for ever.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html
func (c *Client) DeleteAccessKey(ctx context.Context, iam IAM, creds Credentials, id string) error {
	return iam.query("DeleteAccessKey", parameters{"AccessKeyId": id}).
		call(ctx, c, creds, ignore)
}
