/**
 * The names and towns that the invented company's people are made of, as data: in each place people have names of that
 * place, in its own script, beside the form their addresses are written in.
 *
 * Laws (test/demo/people.test.ts): a place's Latin forms are lower-case ASCII, each only once per list, and no family
 * name's Latin form occurs in two places, so that an address made from both tells one person from all others.
 */

/** A name as its bearer writes it, and as an address has it. */
export type Name = readonly [written: string, latin: string];

/** `share`: how many of every `shares` people work there. */
export type Place = Readonly<{
  country: string;
  city: string;
  share: number;
  first: readonly Name[];
  last: readonly Name[];
}>;

/** "Zoë=zoe, Anna" → names; where the written form is plain ASCII letters, its lower case is the Latin form. */
function names(text: string): Name[] {
  return text.split(", ").map((one) => {
    const [written = "", latin] = one.split("=");
    return [written, latin ?? written.toLowerCase().replaceAll(/[^a-z]/g, "")];
  });
}

export const places: readonly Place[] = [
  {
    country: "IT",
    city: "Torino",
    share: 5,
    first: names("Giulia, Marco, Francesca, Niccolò=niccolo, Chiara, Matteo, Elena, Davide, Sara, Luca, Irene, Paolo"),
    last: names(
      "Rossi, D'Angelo, Ferrari, Dell'Acqua, Conti, Greco, Marchetti, Lo Presti, Fabbri, Cantù=cantu, Sanna, Moretti",
    ),
  },
  {
    country: "DE",
    city: "München",
    share: 4,
    first: names(
      "Jürgen=juergen, Anke, Sören=soeren, Heike, Björn=bjoern, Lena, Uwe, Käthe=kaethe, Felix, Ute, Jan, Nina",
    ),
    last: names(
      "Müller=mueller, Groß=gross, Schäfer=schaefer, Meyer-Lüdke=meyer-luedke, Vogel, Köhler=koehler, Brandt, Weiß=weiss, Kaiser, Jung, Busch, Pohl",
    ),
  },
  {
    country: "FR",
    city: "Grenoble",
    share: 3,
    first: names(
      "Zoé=zoe, Jean-Luc=jean-luc, Hélène=helene, François=francois, Agnès=agnes, Rémi=remi, Maëlle=maelle, Hugo, Inès=ines, Théo=theo",
    ),
    last: names(
      "Lefèvre=lefevre, d'Aubigné=daubigne, Moreau, Gauthier, Le Bœuf=leboeuf, Chevalier, Saint-Étienne=saint-etienne, Roussel, Garçon=garcon, Noël=noel",
    ),
  },
  {
    country: "IE",
    city: "Galway",
    share: 2,
    first: names(
      "Siobhán=siobhan, Pádraig=padraig, Aoife, Ciarán=ciaran, Niamh, Eoin, Róisín=roisin, Seán=sean, Gráinne=grainne, Colm",
    ),
    last: names(
      "O'Brien, Ó Súilleabháin=osuilleabhain, Byrne, McCarthy, Ní Dhomhnaill=nidhomhnaill, O'Shea, Walsh, Kavanagh",
    ),
  },
  {
    country: "US",
    city: "Boston",
    share: 3,
    first: names("Grace, Tyrone, Emily, Miguel, Hannah, DeShawn, Olivia, Ethan, Ava, Noah, Chloe, Mason"),
    last: names("Johnson, Nguyen, Washington, Garcia-Lopez=garcia-lopez, Smith, Okafor, Cohen, Begay, Miller, Kim"),
  },
  {
    country: "PL",
    city: "Kraków",
    share: 2,
    first: names(
      "Łukasz=lukasz, Małgorzata=malgorzata, Paweł=pawel, Żaneta=zaneta, Jędrzej=jedrzej, Święta=swieta, Grażyna=grazyna, Michał=michal",
    ),
    last: names(
      "Wójcik=wojcik, Kowalczyk, Dąbrowska=dabrowska, Źrebiec=zrebiec, Szymański=szymanski, Gołąb=golab, Nowicka-Błaż=nowicka-blaz, Łoś=los",
    ),
  },
  {
    country: "GR",
    city: "Αθήνα",
    share: 1,
    first: names(
      "Ελένη=eleni, Γιώργος=giorgos, Μαρία=maria, Νίκος=nikos, Σοφία=sofia, Δημήτρης=dimitris, Χριστίνα=christina, Πέτρος=petros",
    ),
    last: names(
      "Παπαδοπούλου=papadopoulou, Γεωργίου=georgiou, Νικολάου=nikolaou, Καραμανλής=karamanlis, Αθανασίου=athanasiou, Βλάχος=vlachos, Ζέρβας=zervas",
    ),
  },
  {
    country: "BG",
    city: "София",
    share: 1,
    first: names(
      "Иван=ivan, Мария=mariya, Георги=georgi, Елена=elena, Димитър=dimitar, Цветана=tsvetana, Николай=nikolay, Щерьо=shteryo",
    ),
    last: names(
      "Петров=petrov, Димитрова=dimitrova, Иванов=ivanov, Йорданова=yordanova, Чакъров=chakarov, Златева=zlateva, Жеков=zhekov",
    ),
  },
  {
    country: "JP",
    city: "大阪市",
    share: 2,
    first: names(
      "健太=kenta, 美咲=misaki, 翔=sho, さくら=sakura, 大輔=daisuke, 陽子=yoko, 拓也=takuya, 恵美=emi, 蓮=ren",
    ),
    last: names(
      "山田=yamada, 佐藤=sato, 鈴木=suzuki, 髙橋=takahashi, 渡邉=watanabe, 伊藤=ito, 中村=nakamura, 小林=kobayashi, 齋藤=saito",
    ),
  },
  {
    country: "AE",
    city: "دبي",
    share: 1,
    first: names(
      "محمد=mohammed, فاطمة=fatima, أحمد=ahmed, ليلى=layla, يوسف=yousef, مريم=maryam, خالد=khalid, نورة=noura",
    ),
    last: names(
      "الحسن=al-hassan, المنصوري=al-mansoori, الشامسي=al-shamsi, حداد=haddad, النعيمي=al-nuaimi, عبد الله=abdullah, قاسم=qasim",
    ),
  },
  {
    country: "BR",
    city: "São Paulo",
    share: 1,
    first: names(
      "João=joao, Conceição=conceicao, Antônio=antonio, Luísa=luisa, Caio, Thaís=thais, Otávio=otavio, Flávia=flavia",
    ),
    last: names(
      "da Conceição=daconceicao, Araújo=araujo, dos Santos=dossantos, Guimarães=guimaraes, Muñoz=munoz, Assunção=assuncao, Brandão=brandao",
    ),
  },
];

/** The whole that the shares of `places` are of. */
export const shares = places.reduce((sum, place) => sum + place.share, 0);

/** `share` of every `department_shares` people; `ladder`: titles from the head of the department downwards. */
export type Department = Readonly<{
  name: string;
  division: string;
  costCenter: string;
  share: number;
  ladder: readonly string[];
}>;

export const departments: readonly Department[] = [
  {
    name: "Engineering",
    division: "Product",
    costCenter: "4100",
    share: 5,
    ladder: ["VP Engineering", "Engineering Lead", "Senior Engineer", "Engineer"],
  },
  {
    name: "Manufacturing",
    division: "Operations",
    costCenter: "5200",
    share: 4,
    ladder: ["VP Manufacturing", "Line Lead", "Senior Technician", "Technician"],
  },
  {
    name: "Sales",
    division: "Market",
    costCenter: "6100",
    share: 3,
    ladder: ["VP Sales", "Regional Sales Lead", "Account Executive", "Sales Associate"],
  },
  {
    name: "Customer Support",
    division: "Market",
    costCenter: "6300",
    share: 2,
    ladder: ["Head of Support", "Support Lead", "Support Engineer", "Support Agent"],
  },
  {
    name: "Research",
    division: "Product",
    costCenter: "4500",
    share: 2,
    ladder: ["Chief Scientist", "Research Lead", "Senior Scientist", "Scientist"],
  },
  {
    name: "Quality",
    division: "Operations",
    costCenter: "5400",
    share: 1,
    ladder: ["Head of Quality", "Quality Lead", "Metrologist", "Inspector"],
  },
  {
    name: "Finance",
    division: "Corporate",
    costCenter: "7100",
    share: 1,
    ladder: ["CFO", "Controller", "Senior Accountant", "Accountant"],
  },
  {
    name: "People",
    division: "Corporate",
    costCenter: "7300",
    share: 1,
    ladder: ["Head of People", "People Lead", "People Partner", "Recruiter"],
  },
  {
    name: "IT",
    division: "Corporate",
    costCenter: "7500",
    share: 1,
    ladder: ["CIO", "IT Lead", "Systems Engineer", "IT Technician"],
  },
];

export const department_shares = departments.reduce((sum, department) => sum + department.share, 0);
