"""One file a family of checks: each public function measures one thing and judges nothing."""
