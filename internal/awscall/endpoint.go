package awscall

import (
	"net/url"
	"slices"
	"strings"
)

const (
	serviceS3  = "s3"
	serviceSTS = "sts"
	serviceIAM = "iam"
)

// partition is what the addresses of AWS's services have in common in one of its partitions.
type partition struct {
	prefix    string // how its regions begin
	suffix    string // of host names
	iamHost   string // IAM is one service for the whole partition
	iamRegion string // which signatures for it name
}

// partitions returns AWS's partitions; the last has the regions that begin like none of the others, since every region
// begins with its prefix.
// Source: the endpoint rules of aws-sdk-go-v2 (partitions.json and service/iam), against which a test checks it.
func partitions() []partition {
	return []partition{
		{"cn-", "amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"us-gov-", "amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1"},
		{"eusc-", "amazonaws.eu", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"},
		{"us-iso-", "c2s.ic.gov", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"},
		{"us-isob-", "sc2s.sgov.gov", "iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"},
		{"eu-isoe-", "cloud.adc-e.uk", "iam.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"},
		{"us-isof-", "csp.hci.ic.gov", "iam.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"},
		{"", "amazonaws.com", "iam.amazonaws.com", "us-east-1"},
	}
}

func partitionOf(region string) partition {
	all := partitions()
	return all[slices.IndexFunc(all, func(p partition) bool { return strings.HasPrefix(region, p.prefix) })]
}

// S3 is a store's address. An empty Endpoint is AWS's in the region.
type S3 struct {
	Endpoint string
	Region   string
	// PathStyle puts the bucket's name into the path instead of the host name. A name with dots or anything else that
	// cannot be one label of a host name goes into the path anyway, as does any name where the host is an IP address.
	PathStyle bool
}

func (s S3) endpoint() string {
	return orDefault(s.Endpoint, "https://s3."+s.Region+"."+partitionOf(s.Region).suffix)
}

// STS is the Security Token Service's address. An empty Endpoint is AWS's in the region.
type STS struct{ Endpoint, Region string }

func (s STS) endpoint() string {
	return orDefault(s.Endpoint, "https://sts."+s.Region+"."+partitionOf(s.Region).suffix)
}

// IAM is IAM's address. An empty Endpoint is AWS's in the region's partition. Signatures for AWS's IAM name one region
// of the partition, whatever Region is; those for another server name Region.
type IAM struct{ Endpoint, Region string }

func (i IAM) endpoint() string {
	return orDefault(i.Endpoint, "https://"+partitionOf(i.Region).iamHost)
}

func (i IAM) signingRegion() string {
	home := partitionOf(i.Region)
	if i.Endpoint == "" {
		return home.iamRegion
	}
	if u, err := url.Parse(i.Endpoint); err == nil && strings.HasSuffix(u.Hostname(), "."+home.suffix) {
		return home.iamRegion // written out, or a VPC endpoint
	}
	return i.Region
}

func orDefault(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
