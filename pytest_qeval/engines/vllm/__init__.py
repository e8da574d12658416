"""vLLM in this program: loaded, asked and closed; its engine core has processes of its own."""
