"""What explains a merge of thinned task vectors: estimators that only propose; replay decides."""
