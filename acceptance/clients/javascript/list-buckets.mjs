// Lists buckets with the SDK's default credentials until CHANGES session changes were seen; one line a call.
import { fromHttp } from "@aws-sdk/credential-provider-http";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";

// The default chain of providers forgets why each of them failed; the one that asks Vault knows.
async function explain(error) {
  if (error.name === "CredentialsProviderError") {
    const why = await fromHttp()().then(() => error, (cause) => cause);
    console.error(error.message, why.Code, why.Message);
    process.exit(1);
  }
  throw error;
}

const changes = Number(process.env.CHANGES);
const s3 = new S3Client({});
const seen = new Set();
const deadline = Date.now() + 150_000;
while (seen.size <= changes) {
  if (Date.now() > deadline) throw new Error("no session change within the time");
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({})).catch(explain);
  const { accessKeyId } = await s3.config.credentials();
  if (!seen.has(accessKeyId)) {
    seen.add(accessKeyId);
    console.log(accessKeyId, ...Buckets.map((bucket) => bucket.Name));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
}
