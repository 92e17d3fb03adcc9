"""Operations that pyinfra lacks or has wrong. Each compares wanted with the Machine and yields nothing when they agree."""
