package iamtest

import "maps"

// Object is a request on an object.
func Object(action, partition, bucket, key string, context map[string]string) Request {
	return Request{Action: action, Resource: "arn:" + partition + ":s3:::" + bucket + "/" + key, Context: context}
}

// List is a request for the keys of a bucket. A nil prefix is a request without one, which has no condition key for it.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
func List(partition, bucket string, prefix *string, context map[string]string) Request {
	all := maps.Clone(context)
	if prefix != nil {
		if all == nil {
			all = map[string]string{}
		}
		all["s3:prefix"] = *prefix
	}
	return Request{Action: "s3:ListBucket", Resource: "arn:" + partition + ":s3:::" + bucket, Context: all}
}
