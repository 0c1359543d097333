"""Names of our own making: two syllables, ASCII, nobody famous, nothing on sale. Append only: order is part of a seed.

No word stands in two lists, so a name says what it names.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PEOPLE = _words("""
    Alba Arvo Balin Benra Bodil Brisa Caldo Cevin Corra Dalon Delka Dorin Edvar Elsin Ervo Fadil Felka Fiora
    Galen Gesta Gorim Hadra Helmo Hilja Idra Ilmar Ivka Jarek Jelda Jorin Kadri Kelmo Kirsa Ladka Lemir Lorin
    Madel Melko Mirsa Nadil Nelda Norek Odran Olvi Orsa Padra Pelin Posta Ravin Relka Rudo Sadri Selmo Sorin
    Tadel Telka Torvi Udra Ulmar Vadim Velka Vorin Wilka Yaro Yelda Zadri Zelmo Zorin
""")
FAMILIES = _words("""
    Abrant Alkers Bardow Belring Borvik Bruneck Cardell Corvane Dalmont Denholt Dorvik Elmert Embers Farlow
    Fenrick Folmar Gardane Gelder Gorland Halvors Hendrin Holvik Ildane Iverts Jandor Jolvane Kaldor Kermond
    Korvell Landrik Lemvig Lorvane Mardell Melvors Mornick Nardow Nelvik Norbane Ohlvars Ostrin Pardell Pelmont
    Porvik Quelling Randow Rendell Rolvane Sandrik Selvors Sornell Tarmont Telvane Tolrick Ulbrand Urvane Valdow
    Vendrik Volmar Wardane Welvik Wolrand Yardell Yelvors Zandow
""")
TOWNS = _words("""
    Ashmere Barnwick Belfold Birkdale Bramhill Brunford Calmoor Carnfold Coldbrook Cranwell Dalwick Deepford
    Dunmere Eastfold Eldbrook Elmwick Fairmoor Farnhill Fernwick Foxdale Garmoor Glenfold Greywick Halmere
    Harfold Hawkbrook Hazelmoor Heathwick Highfold Holbrook Ironmere Ivydale Kelfold Kingmoor Kirkmere Larkwick
    Leafold Linmoor Longmere Lowbrook Marfold Marlwick Millmere Mossdale Netherfold Northmere Oakfold Oldmoor
    Pinewick Redmere Reedfold Rosebrook Rushmoor Saltwick Sandfold Silmere Stonedale Swanmoor Thornfold
    Underwick Westmere Whitfold Wildbrook Yewdale
""")
GOODS = _words("""
    acorns almonds anchors apples arrows baskets beads beans berries bobbins bottles bricks brushes buttons
    candles cards carrots chestnuts coins combs corks crayons cubes cups dominoes feathers figs flasks flowers
    gems hazelnuts hooks jars kettles keys lanterns leaves lemons marbles medals mirrors nails needles olives
    onions paddles pears pebbles pegs pencils plates plums ribbons rings ropes seeds shells spoons stamps stones
    tickets tiles tokens walnuts
""")
