package network

import (
	"net/netip"
	"testing"
)

func TestForbidden_EveryRowOfTheTable(t *testing.T) {
	t.Parallel()
	for _, row := range forbiddenPrefixes() {
		last := row.prefix.Addr()
		for next := last; row.prefix.Contains(next) && next.IsValid() &&
			next.Compare(row.prefix.Addr()) <= 0; next = next.Next() {
			last = next
		}
		if !Forbidden(row.prefix.Addr()) || !Forbidden(last) {
			t.Errorf("%s (%s) is accepted", row.prefix, row.why)
		}
	}
}

func TestForbidden_Addresses(t *testing.T) {
	t.Parallel()
	for address, forbidden := range map[string]bool{
		// Each row of the table, at both ends, and what lies beside it.
		"0.0.0.0": true, "0.255.255.255": true, "1.0.0.0": false,
		"169.253.255.255": false, "169.254.0.0": true, "169.254.169.254": true, "169.254.170.2": true,
		"169.254.255.255": true, "169.255.0.0": false,
		"191.255.255.255": false, "192.0.0.0": true, "192.0.0.192": true, "192.0.0.255": true, "192.0.1.0": false,
		"192.0.2.0": true, "192.0.2.255": true, "192.0.3.0": false,
		"192.88.98.255": false, "192.88.99.0": true, "192.88.99.255": true, "192.88.100.0": false,
		"198.51.99.255": false, "198.51.100.0": true, "198.51.100.255": true, "198.51.101.0": false,
		"203.0.112.255": false, "203.0.113.0": true, "203.0.113.255": true, "203.0.114.0": false,
		"223.255.255.255": false, "224.0.0.0": true, "239.255.255.255": true, "240.0.0.0": true,
		"255.255.255.255": true,
		"100.100.100.199": false, "100.100.100.200": true, "100.100.100.201": false,
		"168.63.129.15": false, "168.63.129.16": true, "168.63.129.17": false,
		"::": true, "::1": false, "64:ff9b:1::": true, "64:ff9b:1:ffff:ffff:ffff:ffff:ffff": true, "64:ff9b:2::": false,
		"64:ff9b:1::a9fe:a9fe": true, "64:ff9b:1:a9fe:a9:fe00::": true,
		"100::": true, "100::ffff:ffff:ffff:ffff": true, "100:0:0:1::1": true, "100:0:0:2::": false,
		"2001:2::": true, "2001:2:0:ffff::": true, "2001:2:1::": false,
		"2001:10::": true, "2001:1f:ffff::": true, "2001:20::": false,
		"2001:db7:ffff::": false, "2001:db8::1": true, "2001:db9::": false,
		"3fff::": true, "3fff:fff:ffff::": true, "3fff:1000::": false, "5f00::1": true, "5f01::": false,
		"fe7f::": false, "fe80::1": true, "fe80::1%eth0": true, "febf:ffff::": true, "fec0::1": false,
		"ff00::": true, "ff02::1": true,
		"fd00:ec2::23": true, "fd00:ec2::254": true, "fd00:ec2::254%eth0": true, "fd00:ec2::253": false,
		"fd00:c1::a9fe:a9fe": true, "fd00:c1::a9fe:a9fd": false, "fd20:ce::254": true, "fd20:ce::253": false,
		"fd00:42::42": true, "fd00:42::43": false,

		// Each form of IPv6 that carries IPv4: to metadata, to the far end's loopback, and to a host.
		"::ffff:169.254.169.254": true, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:0:a9fe:a9fe": true, "::ffff:0:7f00:1": true, "::ffff:0:a00:1": false,
		"::a9fe:a9fe": true, "::7f00:1": true, "::a00:1": false,
		"64:ff9b::a9fe:a9fe": true, "64:ff9b::6464:64c8": true, "64:ff9b::7f00:1": true, "64:ff9b::808:808": false,
		"2002:a9fe:a9fe::": true, "2002:a9fe:a9fe::1": true, "2002:7f00:1::1": true, "2002:808:808::1": false,
		"2001:0:a9fe:a9fe::1": true, "2001:0:808:808:0:0:5601:5601": true, "2001:0:808:808:0:0:f7f7:f7f7": false,
		"2a00::5efe:a9fe:a9fe": true, "2a00::200:5efe:a9fe:a9fe": true, "2a00::5efe:808:808": false,

		// Loopback, private networks and the Internet.
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false,
		"198.18.0.1": false, "fc00::1": false, "fd00::1": false, "52.94.133.131": false, "2600:1f60::1": false,
	} {
		if got := Forbidden(netip.MustParseAddr(address)); got != forbidden {
			t.Errorf("Forbidden(%s) = %v", address, got)
		}
	}
}
