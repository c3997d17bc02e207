"""Object stores (`s3://`, `gs://`, `az://`, `hf://`, `https://`): what is there, its bytes, and objects of ours."""
