"""One round as mathematics: facts about each update, and the model that the accepted ones make of the base model.

Normative, for an audit repeats it bit for bit: only elementwise numpy + - * / and comparisons, on float64 (and
`tensors.folded` for norms), clients in ascending order of their addresses. Everything else (torch, BLAS, einsum,
np.average, np.sum, pow) may differ between processors in the last bit, and with it the CID. Every pass goes over blocks
of `tensors.BLOCK` elements, each over all clients: memory grows neither with the clients nor with the tensors.
"""
