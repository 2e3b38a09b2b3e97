#!/bin/sh
# Makes the bucket, and a user for storage-proxy that may use this bucket and nothing else.
# MinIO's root user is used for this alone.
set -eu
secret() { cat "/run/secrets/$1"; }

# Over standard input: arguments can be read by everyone on the machine.
printf '%s\n%s\n' "$(secret s3_root_user)" "$(secret s3_root_password)" \
  | mc --quiet alias set store http://objects:9000 >/dev/null
mc --quiet mb --ignore-existing "store/$HSIS_S3_BUCKET"
cat >/tmp/policy.json <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
      "Resource": ["arn:aws:s3:::$HSIS_S3_BUCKET"]
    },
    {
      "Effect": "Allow",
      "Action": [
        "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
        "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"
      ],
      "Resource": ["arn:aws:s3:::$HSIS_S3_BUCKET/*"]
    }
  ]
}
POLICY
mc --quiet admin policy create store hsis-bucket /tmp/policy.json
printf '%s\n%s\n' "$(secret s3_access_key)" "$(secret s3_secret_key)" \
  | mc --quiet admin user add store >/dev/null
# Attaching a policy that is attached already is an error to mc.
mc --quiet admin policy attach store hsis-bucket --user "$(secret s3_access_key)" 2>/tmp/attach \
  || grep -q 'already' /tmp/attach || { cat /tmp/attach >&2; exit 1; }
echo "bucket $HSIS_S3_BUCKET and its user are there"
