package awscall

import (
	"encoding/xml"
	"errors"
	"io"
)

const (
	maxXMLToken = 64 << 10 // bytes of one tag, text or comment; STS allows no field as long
	maxXMLDepth = 16       // AWS's responses have at most 8
	maxXMLName  = 128      // bytes of an element's name; AWS's are shorter
)

var (
	errNotXML  = errors.New("it is not XML")
	errXMLSize = errors.New("it holds more than any response of this operation")
)

// walkXML reads a document as a stream and calls visit at the end of each element, with the names from the root to it,
// separated by slashes and without namespaces, and the text directly in it. It returns the root's name. What it holds
// in memory at once is bounded, whatever the document is. An error of visit ends the walk and is returned.
func walkXML(body io.Reader, visit func(path, text string) error) (root string, err error) {
	limited := &tokenReader{reader: body, left: maxXMLToken}
	w := xmlWalk{decoder: xml.NewDecoder(limited), visit: visit}
	for {
		limited.left = maxXMLToken
		token, err := w.decoder.Token()
		switch {
		case errors.Is(err, errXMLSize), errors.Is(err, errTooLarge):
			return w.root, err
		case err != nil:
			return w.root, errNotXML
		}
		if done, err := w.take(token); done || err != nil {
			return w.root, err
		}
	}
}

// ignore is a visit of what does not matter.
func ignore(string, string) error { return nil }

// xmlWalk is the state between two tokens.
type xmlWalk struct {
	decoder *xml.Decoder
	visit   func(path, text string) error
	root    string
	open    []xmlElement
}

// xmlElement is one whose end has not been read yet.
type xmlElement struct {
	path string
	text []byte
}

// take says whether the token ended the document's root.
func (w *xmlWalk) take(token xml.Token) (done bool, err error) {
	switch t := token.(type) {
	case xml.StartElement:
		path := t.Name.Local
		switch {
		case len(path) > maxXMLName: // each element below it would copy it
			return false, errXMLSize
		case len(w.open) == 0:
			w.root = path
		case len(w.open) == maxXMLDepth:
			return false, errXMLSize
		default:
			path = w.open[len(w.open)-1].path + "/" + path
		}
		w.open = append(w.open, xmlElement{path: path})
	case xml.CharData:
		if len(w.open) == 0 {
			return false, nil
		}
		current := &w.open[len(w.open)-1]
		if len(current.text)+len(t) > maxXMLToken {
			return false, errXMLSize
		}
		current.text = append(current.text, t...)
	case xml.EndElement:
		ended := &w.open[len(w.open)-1]
		if err := w.visit(ended.path, string(ended.text)); err != nil {
			return false, err
		}
		w.open = w.open[:len(w.open)-1]
		return len(w.open) == 0, nil
	}
	return false, nil
}

// tokenReader fails when too much is read for one token: a decoder holds a whole token in memory. The decoder reads 4
// KiB ahead.
type tokenReader struct {
	reader io.Reader
	left   int
}

func (t *tokenReader) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errXMLSize
	}
	n, err := t.reader.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}
