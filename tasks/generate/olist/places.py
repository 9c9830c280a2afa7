"""Brazilian cities with their real postal ranges: where customers and sellers live."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class City(NamedTuple):
    """A city: first and last zip code prefix, centre in degrees, share of customers in percent."""

    name: str
    state: str
    first_prefix: int
    last_prefix: int
    lat: float
    lng: float
    weight: float


CITIES = (
    City("são paulo", "SP", 1001, 5899, -23.55, -46.63, 18.0),
    City("mogi das cruzes", "SP", 8700, 8799, -23.52, -46.19, 1.1),
    City("osasco", "SP", 6000, 6299, -23.53, -46.79, 1.9),
    City("barueri", "SP", 6400, 6499, -23.51, -46.88, 1.1),
    City("guarulhos", "SP", 7000, 7399, -23.46, -46.53, 2.7),
    City("santo andré", "SP", 9000, 9299, -23.66, -46.53, 1.9),
    City("são bernardo do campo", "SP", 9600, 9899, -23.69, -46.56, 2.2),
    City("santos", "SP", 11000, 11099, -23.96, -46.33, 1.6),
    City("taubaté", "SP", 12000, 12119, -23.03, -45.56, 0.8),
    City("são josé dos campos", "SP", 12200, 12249, -23.18, -45.89, 1.6),
    City("campinas", "SP", 13000, 13149, -22.91, -47.06, 3.2),
    City("jundiaí", "SP", 13200, 13219, -23.19, -46.88, 1.3),
    City("piracicaba", "SP", 13400, 13439, -22.73, -47.65, 0.9),
    City("ribeirão preto", "SP", 14000, 14109, -21.18, -47.81, 1.2),
    City("são josé do rio preto", "SP", 15000, 15104, -20.82, -49.38, 0.8),
    City("bauru", "SP", 17000, 17109, -22.31, -49.06, 0.7),
    City("sorocaba", "SP", 18000, 18109, -23.50, -47.46, 1.4),
    City("rio de janeiro", "RJ", 20010, 23799, -22.91, -43.20, 8.0),
    City("niterói", "RJ", 24000, 24399, -22.88, -43.10, 1.4),
    City("são gonçalo", "RJ", 24400, 24799, -22.83, -43.05, 0.9),
    City("duque de caxias", "RJ", 25000, 25499, -22.79, -43.31, 0.8),
    City("petrópolis", "RJ", 25600, 25779, -22.51, -43.18, 0.6),
    City("nova iguaçu", "RJ", 26000, 26399, -22.76, -43.45, 0.7),
    City("campos dos goytacazes", "RJ", 28000, 28149, -21.75, -41.32, 0.5),
    City("vitória", "ES", 29000, 29099, -20.32, -40.34, 0.8),
    City("vila velha", "ES", 29100, 29129, -20.33, -40.29, 0.7),
    City("serra", "ES", 29160, 29184, -20.13, -40.31, 0.5),
    City("belo horizonte", "MG", 30000, 31999, -19.92, -43.94, 5.6),
    City("contagem", "MG", 32000, 32399, -19.93, -44.05, 1.2),
    City("betim", "MG", 32500, 32899, -19.97, -44.20, 0.7),
    City("governador valadares", "MG", 35000, 35099, -18.85, -41.95, 0.5),
    City("juiz de fora", "MG", 36000, 36119, -21.76, -43.35, 1.4),
    City("uberlândia", "MG", 38400, 38415, -18.92, -48.28, 1.5),
    City("montes claros", "MG", 39400, 39409, -16.73, -43.86, 0.8),
    City("salvador", "BA", 40000, 42599, -12.97, -38.50, 2.2),
    City("feira de santana", "BA", 44000, 44149, -12.27, -38.97, 0.7),
    City("vitória da conquista", "BA", 45000, 45099, -14.86, -40.84, 0.5),
    City("aracaju", "SE", 49000, 49098, -10.91, -37.07, 0.35),
    City("recife", "PE", 50000, 52199, -8.05, -34.88, 1.0),
    City("olinda", "PE", 53000, 53399, -8.01, -34.85, 0.3),
    City("jaboatão dos guararapes", "PE", 54000, 54599, -8.11, -35.01, 0.4),
    City("maceió", "AL", 57000, 57099, -9.65, -35.73, 0.41),
    City("joão pessoa", "PB", 58000, 58099, -7.12, -34.86, 0.36),
    City("campina grande", "PB", 58400, 58449, -7.23, -35.88, 0.18),
    City("natal", "RN", 59000, 59139, -5.79, -35.21, 0.49),
    City("fortaleza", "CE", 60000, 61599, -3.73, -38.53, 1.34),
    City("teresina", "PI", 64000, 64099, -5.09, -42.80, 0.5),
    City("são luís", "MA", 65000, 65109, -2.53, -44.30, 0.75),
    City("belém", "PA", 66000, 66999, -1.46, -48.49, 0.7),
    City("ananindeua", "PA", 67000, 67199, -1.37, -48.37, 0.28),
    City("macapá", "AP", 68900, 68911, 0.03, -51.07, 0.07),
    City("manaus", "AM", 69000, 69099, -3.12, -60.02, 0.15),
    City("boa vista", "RR", 69300, 69339, 2.82, -60.67, 0.05),
    City("rio branco", "AC", 69900, 69923, -9.97, -67.81, 0.08),
    City("brasília", "DF", 70000, 72799, -15.79, -47.88, 2.1),
    City("goiânia", "GO", 74000, 74899, -16.69, -49.26, 1.3),
    City("aparecida de goiânia", "GO", 74900, 74999, -16.82, -49.25, 0.3),
    City("anápolis", "GO", 75000, 75149, -16.33, -48.95, 0.4),
    City("porto velho", "RO", 76800, 76834, -8.76, -63.90, 0.25),
    City("palmas", "TO", 77000, 77249, -10.25, -48.32, 0.28),
    City("cuiabá", "MT", 78000, 78109, -15.60, -56.10, 0.6),
    City("rondonópolis", "MT", 78700, 78750, -16.47, -54.64, 0.3),
    City("campo grande", "MS", 79000, 79129, -20.45, -54.62, 0.5),
    City("dourados", "MS", 79800, 79849, -22.22, -54.81, 0.22),
    City("curitiba", "PR", 80010, 82999, -25.43, -49.27, 2.2),
    City("são josé dos pinhais", "PR", 83000, 83149, -25.53, -49.21, 0.4),
    City("ponta grossa", "PR", 84000, 84099, -25.10, -50.16, 0.4),
    City("cascavel", "PR", 85800, 85820, -24.96, -53.46, 0.4),
    City("foz do iguaçu", "PR", 85850, 85869, -25.55, -54.59, 0.3),
    City("londrina", "PR", 86000, 86099, -23.31, -51.16, 0.8),
    City("maringá", "PR", 87000, 87109, -23.42, -51.94, 0.6),
    City("florianópolis", "SC", 88000, 88099, -27.60, -48.55, 0.9),
    City("criciúma", "SC", 88800, 88819, -28.68, -49.37, 0.4),
    City("itajaí", "SC", 88300, 88319, -26.91, -48.66, 0.5),
    City("blumenau", "SC", 89000, 89099, -26.92, -49.07, 0.6),
    City("joinville", "SC", 89200, 89239, -26.30, -48.85, 0.8),
    City("chapecó", "SC", 89800, 89816, -27.10, -52.62, 0.4),
    City("porto alegre", "RS", 90000, 91999, -30.03, -51.23, 2.6),
    City("canoas", "RS", 92000, 92449, -29.92, -51.18, 0.6),
    City("novo hamburgo", "RS", 93300, 93599, -29.69, -51.13, 0.5),
    City("caxias do sul", "RS", 95000, 95124, -29.17, -51.18, 0.6),
    City("pelotas", "RS", 96000, 96099, -31.77, -52.34, 0.4),
    City("santa maria", "RS", 97000, 97119, -29.68, -53.81, 0.5),
    City("passo fundo", "RS", 99000, 99119, -28.26, -52.41, 0.3),
)

# Sellers crowd in the south-east and south: how much likelier a state's city is to hold one.
SELLER_FACTOR = {"SP": 1.42, "PR": 2.3, "SC": 1.7, "RS": 0.75, "MG": 0.68, "RJ": 0.43}
OTHER_SELLER_FACTOR = 0.25


def plain(name: str) -> str:
    """Return `name` without accents, as most addresses are typed."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
