package awstest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxKeys is AWS's quota, which cannot be raised.
const maxKeys = 2

type user struct {
	name, arn string
	denied    []string // actions
	keys      []*principal
}

// Key is an access key of a user.
type Key struct {
	ID, Secret string
	Active     bool
	Created    time.Time
}

// AddUser makes an IAM user with one access key that every service has long known. The name "root" stands for the
// account's root user.
func (s *Server) AddUser(name string) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	account := "arn:aws:iam::" + s.options.Account
	u := &user{name: name, arn: account + ":user/" + name}
	if name == "root" {
		u.arn = account + ":root"
	}
	s.users[name] = u
	key := s.newKey(u, time.Time{})
	return Key{ID: key.accessKey, Secret: key.secretKey, Active: true}
}

// AddKey makes another access key for the user behind the plugin's back, without a limit.
func (s *Server) AddKey(name string) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.newKey(s.users[name], time.Time{})
	return Key{ID: key.accessKey, Secret: key.secretKey, Active: true}
}

// RemoveUser deletes a user with its keys.
func (s *Server) RemoveUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.users[name].keys {
		delete(s.principals, key.accessKey)
	}
	delete(s.users, name)
}

// Deny has the user's policies forbid the actions, such as "iam:CreateAccessKey", in place of those forbidden before.
func (s *Server) Deny(name string, actions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[name].denied = actions
}

// Keys returns the user's access keys, oldest first.
func (s *Server) Keys(name string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	if u == nil {
		return nil
	}
	keys := make([]Key, len(u.keys))
	for i, one := range u.keys {
		keys[i] = Key{one.accessKey, one.secretKey, one.active, one.created}
	}
	return keys
}

// newKey is called under the lock. A created of zero is long ago.
func (s *Server) newKey(u *user, created time.Time) *principal {
	s.keysMade++
	number := strconv.Itoa(s.keysMade)
	key := &principal{accessKey: "AKIA" + strings.Repeat("0", max(0, 4-len(number))) + number + rand.Text()[:12],
		secretKey: rand.Text() + "/+" + rand.Text()[:12], arn: u.arn, user: u.name, active: true, created: created}
	u.keys = append(u.keys, key)
	s.principals[key.accessKey] = key
	return key
}

// accessKeys does an operation on the caller's own access keys.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
func (s *Server) accessKeys(caller principal, operation string, p url.Values, now time.Time) (string, *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[caller.user]
	if u == nil {
		return "", refuse(
			http.StatusBadRequest,
			"ValidationError",
			"Must specify userName when calling with non-User credentials",
		)
	}
	if named := p.Get("UserName"); named != "" && named != u.name {
		return "", denied(caller.arn, "iam:"+operation, "user "+named)
	}
	if slices.Contains(u.denied, "iam:"+operation) {
		return "", denied(
			caller.arn,
			"iam:"+operation,
			"user "+u.name+" because no identity-based policy allows the iam:"+operation+" action",
		)
	}
	switch operation {
	case "CreateAccessKey":
		if len(u.keys) >= maxKeys {
			return "", refuse(http.StatusConflict, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
		}
		key := s.newKey(u, now)
		return "<AccessKey>" + element(
			"UserName",
			u.name,
		) + element(
			"AccessKeyId",
			key.accessKey,
		) + element(
			"Status",
			"Active",
		) +
			element(
				"SecretAccessKey",
				key.secretKey,
			) + element(
			"CreateDate",
			now.UTC().Format(time.RFC3339),
		) + "</AccessKey>", nil
	case "ListAccessKeys":
		return s.listKeys(u, now), nil
	}
	return "", s.changeKey(u, operation, p)
}

func (s *Server) listKeys(u *user, now time.Time) string {
	list := ""
	for _, key := range u.keys {
		created := key.created
		if created.IsZero() {
			created = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		if now.Sub(created) < s.options.ListDelay {
			continue
		}
		status := "Inactive"
		if key.active {
			status = "Active"
		}
		list += "<member>" + element(
			"UserName",
			u.name,
		) + element(
			"AccessKeyId",
			key.accessKey,
		) + element(
			"Status",
			status,
		) +
			element(
				"CreateDate",
				created.UTC().Format(time.RFC3339),
			) + "</member>"
	}
	return "<AccessKeyMetadata>" + list + "</AccessKeyMetadata><IsTruncated>false</IsTruncated>"
}

// changeKey updates or deletes a key.
func (s *Server) changeKey(u *user, operation string, p url.Values) *Refusal {
	id, status := p.Get("AccessKeyId"), p.Get("Status")
	i := slices.IndexFunc(u.keys, func(key *principal) bool { return key.accessKey == id })
	switch {
	case i < 0:
		return refuse(http.StatusNotFound, "NoSuchEntity", "The Access Key with id "+id+" cannot be found.")
	case operation == "DeleteAccessKey":
		delete(s.principals, id)
		u.keys = slices.Delete(u.keys, i, i+1)
	case status != "Active" && status != "Inactive":
		return constraint("status", "Member must satisfy enum value set: [Active, Inactive]")
	default:
		u.keys[i].active = status == "Active"
	}
	return nil
}
