"""Files that `lakehouse init domain` was given, each odd in its own way."""

from __future__ import annotations

ODD = {
    "words of YAML and SQL": "yes,null,order,on\n1,2,2026-01-01,x\n2,3,2026-02-01,x\n",
    "words of SQL": "select,from,date,sum\na,x,2026-01-01,1.5\nb,y,2026-02-01,2.5\nc,y,,\nd,x,,\n",
    "a word of SQL that is counted by": "user,select,price\n1,can't,1.5\n2,can't,2.5\n3,b,3\n4,b,\n",
    "no time, a kind": "id,kind\n1,a\n2,b\n3,b\n4,\n",
    "no time, no kind": "id\n1\n2\n",
    "true or false": "id,open\n1,true\n2,false\n",
    "time is the key": "day,n\n2026-01-01,1\n2026-01-02,2\n",
    "words of YAML made of other signs": "No.,On?,ID\nx,1,2\ny,2,2\n",
    "signs": 'id,kind\n1,"a: ""b"""\n2,"#c\nd"\n3,"#c\nd"\n4,"a: ""b"""\n',
    "odd headers": (
        'id,имя,100 %,it\'s,"say ""so""",back\\slash,a.b,_source,2019 sales,T,x-y,_rescued\n'
        "1,a,b,c,d,e,f,g,h,i,j,k\n2,a,b,c,d,e,f,g,h,i,j,k\n"
    ),
    "values that are other values elsewhere": (
        "id,kind,code,at\n"
        + "".join(
            f"{n},{kind},{code},2026-01-31 {hour}\n"
            for n, (kind, code, hour) in enumerate(
                zip(
                    ["1e3", "yes", "no", "null", "~", "0x1f", "1_000", "can't", "\\"] * 2,
                    ["007", "1", "+2"] * 6,
                    ["24:00:00", "23:59:59"] * 9,
                    strict=True,
                )
            )
        )
    ),
    "all at once": (
        "select,имя,100 %,it's,_source,user,code,at,price,number_of_rows,group\n"
        + "".join(
            f"{n},a,50 %,it"
            's,x,"{user}",{code},2026-01-31 {hour},{n}.5,{n % 3},"{user}"\n'
            for n, (user, code, hour) in enumerate(
                zip(
                    ["can't", "1e3", "yes", "\\", 'say ""so""', "null", "24:00:00", "%s", "имя"]
                    * 2,
                    ["007", "1", "+2"] * 6,
                    ["24:00:00", "23:59:59"] * 9,
                    strict=True,
                )
            )
        )
    ),
    "one record": "id,kind,price\n1,a,1.5\n",
    "mark, semicolons": "\ufeffid;Größe;day\n1;1,5;31.12.2026\n2;2,5;1.1.2027\n",
    "tabs": "id\tselect\tvalue\n1\ta\t1.5\n2\ta\t\n3\tb\t2\n",
    "columns of the example": "id,number_of_rows,total_price,price\n1,a,a,1.5\n2,a,b,2.5\n3,b,b,3.5\n",
}
