"""What tokens, answers and machines cost: pure functions, money in Decimal, unknown is None and never 0.

mix         input against output, and the one price per million that a mix makes of two
hosting     an hour of a rented or owned node, and what that makes a million tokens cost
volume      from how many tokens a month an own node is cheaper than an API
solved      dollars per task and per solved task, with intervals
history     the price to reach a quality, over time, and how fast it falls
spend       how much of the spending hangs on one provider
"""
