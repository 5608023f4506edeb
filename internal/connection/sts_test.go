package connection

import "testing"

func TestSTSAddress_IsTheStoresOwnOrAWSs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		s3, sts, want string
		own           bool
	}{
		{"", "", "", false},
		{"", "https://sts.example", "https://sts.example", false},
		{"https://minio.example:9000", "", "https://minio.example:9000", true},
		{"https://minio.example:9000", "https://sts.example", "https://sts.example", true},
		{"https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com", "", "", false},
		{"https://s3.cn-north-1.amazonaws.com.cn", "", "", false},
		{"https://s3.dualstack.eu-west-1.API.AWS.", "", "", false},
		{"https://amazonaws.com.example", "", "https://amazonaws.com.example", true},
		{"https://%zz", "", "https://%zz", true}, // damaged in storage
		{"https://notamazonaws.com", "", "https://notamazonaws.com", true},
	} {
		c := New()
		c.S3Endpoint, c.STSEndpoint = row.s3, row.sts
		if got := c.STSAddress(); got != row.want || c.OwnStore() != row.own {
			t.Errorf("s3_endpoint %q, sts_endpoint %q: %q, a store of its own: %v; want %q, %v",
				row.s3, row.sts, got, c.OwnStore(), row.want, row.own)
		}
	}
}

func TestPartition_IsUnknownForANewRegionAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ region, custom, want string }{
		{"eu-west-1", "", "aws"}, {"cn-north-1", "", "aws-cn"}, {"us-gov-west-1", "", "aws-us-gov"},
		{"eusc-de-east-1", "", "aws-eusc"},
		{"eu-west-1", "xx-new-1", ""}, {"eu-west-1", "cn-new-1", "aws-cn"}, {"us-east-1", "eu-west-1", "aws"},
	} {
		c := New()
		c.Region, c.CustomRegion = row.region, row.custom
		if got := c.Partition(); got != row.want {
			t.Errorf("region %q, custom_region %q: %q, want %q", row.region, row.custom, got, row.want)
		}
	}
}
