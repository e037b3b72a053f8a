"""The store on AWS: DynamoDB, S3 and SQS. boto3 is imported in this folder only."""
