package awscall

import (
	"errors"
	"strings"
	"testing"
)

// The path of each element is made anew, so that one long name would be copied for every element below it: a document
// of 140 KiB cost 1.3 GB and 4 s.
func TestWalkXML_LongNamesAreRefused(t *testing.T) {
	t.Parallel()
	document := "<" + strings.Repeat("n", maxXMLName+1) + "><a/>"
	_, err := walkXML(strings.NewReader(document), func(string, string) error { return nil })
	if !errors.Is(err, errXMLSize) {
		t.Errorf("error %v", err)
	}
}
