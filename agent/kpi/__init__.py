"""Key performance indicators of a data centre: pure functions, with standard and version.

pue, carbon_water, shares, servers, work: the formulas, each of sums over one period. definitions:
which version of which standard they follow. period: what a period is, by the calendar.
quantity: sums of meters over the time that a figure's inputs have in common. inputs: a site's
meters by what they are for. compose: all KPIs of a site. compare, reconcile: IT energy by
meters against agents, meters against bills.
"""
