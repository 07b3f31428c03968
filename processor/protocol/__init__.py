"""The rules of a round: decisions as pure functions, and the settlement that organization and audit share."""
