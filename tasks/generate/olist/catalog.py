"""Products and the translation of their categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    Coded,
    Identifiers,
    IntArray,
    Integers,
    Table,
    Texts,
    identifiers,
)
from tasks.generate.sampling import draw


class Category(NamedTuple):
    """A product category: names (no English one: untranslated), weight, and price level."""

    name: str
    english: str | None
    weight: float
    price: float


CATEGORIES = (
    Category("cama_mesa_banho", "bed_bath_table", 92, 1.0),
    Category("esporte_lazer", "sports_leisure", 87, 1.1),
    Category("moveis_decoracao", "furniture_decor", 81, 0.95),
    Category("saude_beleza", "health_beauty", 74, 1.0),
    Category("utensilios_domesticos", "housewares", 71, 0.9),
    Category("carros_e_motos", "car_and_motorcycle", 58, 1.1),
    Category("acessorios_informatica", "computer_accessories", 50, 0.95),
    Category("brinquedos", "toys", 43, 1.0),
    Category("relogios", "watches", 40, 1.8),
    Category("celulares", "mobile_phones", 34, 0.6),
    Category("bebes", "baby", 28, 1.2),
    Category("perfumes", "perfumes", 26, 1.15),
    Category("bolsas_mochilas", "bags_backpacks", 26, 0.7),
    Category("papelaria", "stationery", 25, 0.8),
    Category("presentes_criativos", "creative_gifts", 24, 1.4),
    Category("ferramentas", "tools", 23, 0.9),
    Category("jardim", "garden", 22, 0.9),
    Category("animais", "pets", 21, 0.9),
    Category("eletronica", "electronics", 16, 0.5),
    Category("material_de_construcao", "building_materials", 12, 1.2),
    Category("eletrodomesticos", "home_appliances", 11, 1.5),
    Category("malas_viagem", "luggage_travel", 10, 1.2),
    Category("video_games", "video_games", 10, 0.9),
    Category("moveis_escritorio", "office_furniture", 9, 1.6),
    Category("instrumentos_musicais", "musical_instruments", 9, 1.7),
    Category("eletroportateis", "small_appliances", 8, 2.2),
    Category("casa_conforto", "home_comfort", 7, 1.3),
    Category("livros", "books", 7, 0.7),
    Category("calcados", "shoes", 6, 0.9),
    Category("iluminacao", "lighting", 6, 0.9),
    Category("moveis_sala", "living_room_furniture", 5, 1.3),
    Category("climatizacao", "heating_cooling", 4, 1.6),
    Category("audio", "audio", 4, 1.1),
    Category("bebidas", "drinks", 3, 0.6),
    Category("comidas", "food", 3, 0.6),
    Category("telefones_fixos", "landline_phones", 3, 1.9),
    Category("roupa_intima_praia", "underwear_beachwear", 3, 0.7),
    Category("roupa_masculina", "menswear", 3, 0.8),
    Category("roupa_feminina", "womenswear", 2, 0.7),
    Category("roupa_infantil", "childrenswear", 1, 0.7),
    Category("roupa_esportiva", "sportswear", 1, 0.7),
    Category("moveis_cozinha", "kitchen_furniture", 3, 1.7),
    Category("moveis_quarto", "bedroom_furniture", 2, 1.7),
    Category("colchoes", "mattresses", 1, 1.5),
    Category("seguranca_residencial", "home_security", 3, 1.8),
    Category("seguranca_trabalho", "workplace_safety", 2, 1.2),
    Category("industria", "industry", 2, 1.3),
    Category("agricultura", "agriculture", 2, 2.0),
    Category("artes", "art", 2, 0.9),
    Category("artesanato", "crafts", 1, 0.7),
    Category("natal", "christmas", 2, 0.6),
    Category("festas", "party_supplies", 1, 0.6),
    Category("livros_tecnicos", "technical_books", 4, 0.7),
    Category("livros_estrangeiros", "foreign_books", 1, 0.8),
    Category("filmes", "films", 2, 0.7),
    Category("musica", "music", 1, 1.0),
    Category("discos", "records", 1, 0.7),
    Category("fotografia", "photography", 1, 0.8),
    Category("computadores", "computers", 1, 11.0),
    Category("tablets_impressoras", "tablets_printers", 1, 0.9),
    Category("cafeteiras", "coffee_machines", 1, 6.0),
    Category("fornos", "ovens", 1, 6.0),
    Category("geladeiras", "refrigerators", 1, 4.5),
    Category("panelas", "cookware", 2, 1.1),
    Category("flores", "flowers", 1, 0.4),
    Category("fraldas", "diapers", 1, 0.4),
    Category("servicos", "services", 1, 1.4),
    Category("sinalizacao", "signage", 1, 1.0),
    Category("colecionaveis", "collectibles", 2, 1.3),
    Category("feira_livre", "marketplace", 3, 1.0),
    Category("pesca", "fishing", 2, 0.9),
    Category("computador_gamer", None, 0.1, 2.0),
    Category("processadores_de_alimentos", None, 0.3, 2.6),
)

_UNCATEGORISED = 0.0185
_UNWEIGHED = 6e-5
_MEDIAN_PRICE = 84.0


@dataclass(frozen=True)
class Catalog:
    """The products table with what sales need of it.

    Attributes:
        table: The products.
        price: List price of each product in cents (n,).
        weight: Weight of each product in grams, also where the file leaves it out (n,).
    """

    table: Table
    price: IntArray
    weight: IntArray


def translations() -> Table:
    """Return the English names of the translated categories."""
    pairs = [(c.name, c.english) for c in CATEGORIES if c.english is not None]
    return Table(
        name="category_translation",
        file="product_category_name_translation.csv",
        key=("product_category_name",),
        rows=len(pairs),
        columns={
            "product_category_name": Texts([name for name, _ in pairs]),
            "product_category_name_english": Texts([english for _, english in pairs]),
        },
    )


def products(rng: np.random.Generator, rows: int) -> Catalog:
    """Generate products of every size and price; a few have no category, or an untranslated one."""
    category = draw(rng, [c.weight for c in CATEGORIES], rows)
    chosen = rng.permutation(rows)
    untranslated = [at for at, c in enumerate(CATEGORIES) if c.english is None]
    category[chosen[: len(untranslated)]] = untranslated[:rows]
    price = _prices(rng, category)
    weight = _whole(rng.lognormal(6.6, 1.3, rows), 50, 40_000, step=50)
    unknown = chosen[len(untranslated) :][: max(1, round(rows * _UNCATEGORISED))]
    category[unknown] = -1
    described = {
        "product_name_lenght": _whole(rng.normal(49, 10, rows), 5, 76),
        "product_description_lenght": _whole(rng.lognormal(6.4, 0.75, rows), 4, 3992),
        "product_photos_qty": np.minimum(rng.geometric(0.46, rows), 20).astype(np.int64),
    }
    for values in described.values():
        values[unknown] = ABSENT
    measured = {
        "product_weight_g": weight.copy(),
        "product_length_cm": _whole(rng.lognormal(3.3, 0.5, rows), 7, 105),
        "product_height_cm": _whole(rng.lognormal(2.6, 0.75, rows), 2, 105),
        "product_width_cm": _whole(rng.lognormal(3.05, 0.45, rows), 6, 118),
    }
    unweighed = rng.random(rows) < _UNWEIGHED
    for values in measured.values():
        values[unweighed] = ABSENT
    numbers = {name: Integers(values) for name, values in (described | measured).items()}
    table = Table(
        name="products",
        file="olist_products_dataset.csv",
        key=("product_id",),
        rows=rows,
        columns={
            "product_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "product_category_name": Coded(category, tuple(c.name for c in CATEGORIES)),
            **numbers,
        },
    )
    return Catalog(table, price, weight)


def _prices(rng: np.random.Generator, category: IntArray) -> IntArray:
    """Draw heavy-tailed list prices in cents, most of them ending in .90 or .99."""
    level = np.array([c.price for c in CATEGORIES])[category]
    units = np.clip(level * _MEDIAN_PRICE * rng.lognormal(0.0, 0.98, len(category)), 1, 6700)
    whole = units.astype(np.int64)
    endings = np.array([90, 99, 0, 49], dtype=np.int64)[
        draw(rng, (0.5, 0.25, 0.2, 0.05), len(whole))
    ]
    odd = rng.random(len(whole)) < 0.1
    return np.where(odd, (units * 100).astype(np.int64), whole * 100 + endings)


def _whole(values: np.ndarray, low: int, high: int, *, step: int = 1) -> IntArray:
    """Round to multiples of `step` within [low, high]."""
    return np.clip(np.rint(values / step).astype(np.int64) * step, low, high)
